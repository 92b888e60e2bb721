"""VGG16."""

from torch import nn

# Feature maps of the convolutions between two poolings: configuration D of the paper.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Thirteen 3 x 3 convolutions in five stages, then three fully connected layers; no normalisation, as published.

    Without normalisation the paper had to start from the weights of a shallower network; the initial weights of He et
    al. 2015 keep the signal's variance instead.

    Source: Simonyan and Zisserman 2015, configuration D (138,357,544 parameters at 3 x 224 x 224 and 1,000 classes).
    """

    def __init__(self, channels: int, outputs: int, height: int, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        for stage in STAGES:
            for maps in stage:
                layers += [nn.Conv2d(channels, maps, 3, padding=1), nn.ReLU(inplace=True)]
                channels = maps
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        reduction = 2 ** len(STAGES)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * (height // reduction) * (width // reduction), 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, outputs),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, images):
        """Return the logits `(N, outputs)` of images `(N, channels, height, width)`."""
        return self.classifier(self.features(images))
