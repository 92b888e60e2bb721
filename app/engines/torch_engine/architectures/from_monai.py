"""The zoo's networks that MONAI has, in the sizes that the papers of their names give."""

from monai.networks.nets import AttentionUnet, BasicUNet, DenseNet121, EfficientNetBN, FlexibleUNet, ResNet
from monai.networks.nets.resnet import ResNetFeatures
from torch import nn

PLANES = [64, 128, 256, 512]
ATTENTION_MAPS = (32, 64, 128, 256, 512)


def build_resnet18(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build ResNet18 (11,689,512 parameters at 3 channels and 1,000 classes)."""
    return ResNet("basic", [2, 2, 2, 2], num_classes=outputs, **_as_published(channels))


def build_resnet50(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build ResNet50 (25,557,032 parameters at 3 channels and 1,000 classes)."""
    return ResNet("bottleneck", [3, 4, 6, 3], num_classes=outputs, **_as_published(channels))


class ResNet34Features(ResNetFeatures):
    """ResNet34 up to its last stage, giving the features of every stage.

    MONAI's own has the shortcuts of a form for volumes, which let no gradient through and fix the size of the batch in
    an ONNX file.
    """

    def __init__(self, channels: int):
        ResNet.__init__(self, "basic", [3, 4, 6, 3], feed_forward=False, **_as_published(channels))


def _as_published(channels: int) -> dict:
    """Return what makes MONAI's ResNet that of the paper; its defaults are those of a form for volumes."""
    return {
        "block_inplanes": PLANES,
        "spatial_dims": 2,
        "n_input_channels": channels,
        "conv1_t_stride": 2,
        "bias_downsample": False,
    }


def build_densenet121(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build DenseNet121 (7,978,856 parameters at 3 channels and 1,000 classes)."""
    return DenseNet121(spatial_dims=2, in_channels=channels, out_channels=outputs)


def build_efficientnet_b0(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build EfficientNet-B0 (5,288,548 parameters at 3 channels and 1,000 classes).

    The running statistics follow ten times faster than those of the paper, which trained for 350 epochs of a million
    images: after the few hundred steps of a small dataset they would still be the initial ones.
    """
    network = EfficientNetBN(
        "efficientnet-b0",
        pretrained=False,
        spatial_dims=2,
        in_channels=channels,
        num_classes=outputs,
        norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
    )
    network.set_swish(memory_efficient=False)  # the other form has no ONNX counterpart
    return network


def build_unet(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build MONAI's BasicUNet: five levels of 32 to 256 feature maps; it pads, so any size from 32 pixels does."""
    return BasicUNet(spatial_dims=2, in_channels=channels, out_channels=outputs)


def build_resnet_unet(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build a U-Net whose encoder is a ResNet34 (24 million parameters)."""
    network = FlexibleUNet(channels, outputs, "resnet34", spatial_dims=2)
    network.encoder = ResNet34Features(channels)
    return network


def build_attention_unet(channels: int, outputs: int, height: int, width: int) -> nn.Module:
    """Build an attention U-Net of half the paper's feature maps: 32 to 512 in five levels."""
    return AttentionUnet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        channels=ATTENTION_MAPS,
        strides=(2,) * (len(ATTENTION_MAPS) - 1),
    )
