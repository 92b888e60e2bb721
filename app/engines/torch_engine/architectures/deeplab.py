"""DeepLabV3+."""

import torch
from monai.networks.nets.resnet import ResNetFeatures
from torch import Tensor, nn
from torch.nn import functional

ENCODER_MAPS = 2048
LOW_LEVEL_MAPS = 256  # of the encoder's first stage, at a quarter of the input size
RATES = (6, 12, 18)  # of the pyramid's dilated convolutions, for features at 1/16 of the input size
MAPS = 256


class DeepLabV3Plus(nn.Module):
    """A ResNet50 at 1/16 of the input size, a pyramid of dilated convolutions, and a decoder with one skip.

    Height and width are multiples of 16.

    Source: Chen et al., Encoder-Decoder with Atrous Separable Convolution, 2018, with plain convolutions; the encoder
    is MONAI's.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.encoder = ResNetFeatures("resnet50", pretrained=False, spatial_dims=2, in_channels=channels)
        _dilate(self.encoder.layer4)
        self.pyramid = Pyramid()
        self.low_level = _convolution(LOW_LEVEL_MAPS, 48, 1)
        self.decoder = nn.Sequential(_convolution(MAPS + 48, MAPS, 3), _convolution(MAPS, MAPS, 3))
        self.head = nn.Conv2d(MAPS, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `(N, outputs, H, W)` of images `(N, channels, H, W)`."""
        features = self.encoder(images)
        low_level = self.low_level(features[1])
        context = _resized(self.pyramid(features[-1]), low_level)
        return _resized(self.head(self.decoder(torch.cat([context, low_level], dim=1))), images)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: the same features seen at several distances, and their mean over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.near = _convolution(ENCODER_MAPS, MAPS, 1)
        self.far = nn.ModuleList(_convolution(ENCODER_MAPS, MAPS, 3, rate) for rate in RATES)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), _convolution(ENCODER_MAPS, MAPS, 1))
        self.joined = nn.Sequential(_convolution((2 + len(RATES)) * MAPS, MAPS, 1), nn.Dropout(0.1))

    def forward(self, features: Tensor) -> Tensor:
        """Return `(N, MAPS, H, W)` of features `(N, ENCODER_MAPS, H, W)`."""
        whole = self.whole(features).expand(-1, -1, *features.shape[2:])
        return self.joined(torch.cat([self.near(features), *(part(features) for part in self.far), whole], dim=1))


def _convolution(channels: int, maps: int, size: int, rate: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, maps, size, padding=rate * (size // 2), dilation=rate, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(maps), nn.ReLU(inplace=True))


def _dilate(stage: nn.Module) -> None:
    """Let a stage keep the size of its input, and see as far as it did: dilation for stride."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (2, 2)


def _resized(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)
