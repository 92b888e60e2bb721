"""The zoo's architectures in PyTorch. Each builder takes channels, outputs and the input size; each returns logits."""

from collections.abc import Callable

import torch
from torch import nn

from app.engines.torch_engine.architectures import from_monai
from app.engines.torch_engine.architectures.any_size import Padded, allow_lone_values
from app.engines.torch_engine.architectures.convnext import ConvNeXt
from app.engines.torch_engine.architectures.deeplab import DeepLabV3Plus
from app.engines.torch_engine.architectures.lenet import build_lenet
from app.engines.torch_engine.architectures.segnet import SegNet
from app.engines.torch_engine.architectures.vgg import VGG16
from app.training.config import TrainingConfig
from app.zoo.architectures import architecture_of

Builder = Callable[[int, int, int, int], nn.Module]

BUILDERS: dict[str, Builder] = {
    "lenet": build_lenet,
    "vgg16": VGG16,
    "resnet18": from_monai.build_resnet18,
    "resnet50": from_monai.build_resnet50,
    "densenet121": from_monai.build_densenet121,
    "efficientnet_b0": from_monai.build_efficientnet_b0,
    "convnext_tiny": lambda channels, outputs, height, width: ConvNeXt(channels, outputs),
    "unet": from_monai.build_unet,
    "segnet": lambda channels, outputs, height, width: SegNet(channels, outputs),
    "deeplabv3plus": lambda channels, outputs, height, width: DeepLabV3Plus(channels, outputs),
    "resnet_unet": from_monai.build_resnet_unet,
    "attention_unet": from_monai.build_attention_unet,
}


def build(config: TrainingConfig) -> nn.Module:
    """Build the architecture that a config names, for its input size, channels and classes."""
    return _build(config, config.output_channels)


def _build(config: TrainingConfig, outputs: int) -> nn.Module:
    network = BUILDERS[config.architecture](config.channels, outputs, config.input_height, config.input_width)
    allow_lone_values(network)
    multiple_px = architecture_of(config.architecture).multiple_px
    return Padded(network, multiple_px) if multiple_px > 1 else network


def head_names(config: TrainingConfig) -> frozenset[str]:
    """Return the names of the parameters whose shape depends on the number of classes: the last layer's."""
    with torch.device("meta"):  # shapes only: nothing is computed or stored
        one, other = (_build(config, config.output_channels + more).state_dict() for more in (0, 1))
    return frozenset(name for name, value in one.items() if value.shape != other[name].shape)


def encoder_parameters(network: nn.Module, architecture: str) -> list[nn.Parameter]:
    """Return the parameters that make features of images, which is what "Freeze epochs" holds still.

    They are named by the zoo's entry; a network around the architecture's own, as `Padded` is, adds to the names.
    """
    prefixes = architecture_of(architecture).encoder
    return [
        parameter
        for name, parameter in network.named_parameters()
        if name.removeprefix("network.").startswith(prefixes)
    ]
