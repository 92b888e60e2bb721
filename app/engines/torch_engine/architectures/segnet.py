"""SegNet."""

from torch import Tensor, nn

# Convolutions of each encoder stage: the same as in VGG16; the decoder mirrors them.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class SegNet(nn.Module):
    """VGG16's convolutions with batch normalisation, and a decoder that mirrors them.

    Height and width are multiples of 32. As in the DeepHealth toolkit's form, the decoder enlarges by repeating pixels.
    The paper puts each value back where the encoder's maximum was; wherever an image is flat, as the black around a
    scan is, the four candidates differ by rounding only, and two libraries would answer differently.

    Source: Badrinarayanan et al., SegNet, 2017.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        depths = [channels, *(stage[-1] for stage in STAGES)]
        self.encoder = nn.Sequential(*(_down(depths[index], maps) for index, maps in enumerate(STAGES)))
        # Each stage of the decoder ends with as many maps as the encoder's stage before it.
        back = [(*stage[:-1], depths[index]) if index else stage[:-1] for index, stage in enumerate(STAGES)]
        self.decoder = nn.Sequential(*(_up(STAGES[index][-1], back[index]) for index in reversed(range(len(STAGES)))))
        self.head = nn.Conv2d(STAGES[0][0], outputs, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `(N, outputs, H, W)` of images `(N, channels, H, W)`."""
        return self.head(self.decoder(self.encoder(images)))


def _convolutions(channels: int, stage: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for maps in stage:
        layers += [nn.Conv2d(channels, maps, 3, padding=1, bias=False), nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]
        channels = maps
    return layers


def _down(channels: int, stage: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(*_convolutions(channels, stage), nn.MaxPool2d(2))


def _up(channels: int, stage: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *_convolutions(channels, stage))
