"""LeNet."""

from torch import nn


def build_lenet(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build LeNet with 20 and 50 feature maps and 500 hidden units.

    Args:
        channels: depth of the images.
        outputs: number of logits.
        height: input height in pixels; two poolings halve it twice.
        width: input width in pixels.

    Source: LeCun et al. 1998, in the form (padded 5 x 5 convolutions, ReLU) that the DeepHealth toolkit used.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(50 * (height // 4) * (width // 4), 500),
        nn.ReLU(),
        nn.Linear(500, outputs),
    )
