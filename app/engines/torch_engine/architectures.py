"""The zoo's architectures in PyTorch. Each builder takes channels, outputs and the input size; each returns logits."""

from collections.abc import Callable

from monai.networks.nets import BasicUNet
from torch import nn

from app.training.config import TrainingConfig


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


def build_unet(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build MONAI's BasicUNet: five levels of 32 to 256 feature maps; it pads, so any size from 32 pixels does."""
    return BasicUNet(spatial_dims=2, in_channels=channels, out_channels=outputs)


BUILDERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {"lenet": build_lenet, "unet": build_unet}


def build(config: TrainingConfig) -> nn.Module:
    """Build the architecture that a config names, for its input size, channels and classes."""
    builder = BUILDERS[config.architecture]
    return builder(config.channels, config.output_channels, config.input_height, config.input_width)
