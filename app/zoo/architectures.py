"""The architectures that the engines can build: what the web side must know of them, as data."""

from dataclasses import dataclass

CLASSIFICATION = "classification"
SEGMENTATION = "segmentation"


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo. Its name is in `models.json`, its defaults are in `allowed_properties.json`.

    Attributes:
        task: what the network is for.
        minimum_px: smallest input height and width at which something is left for the last layers.
        maximum_px: largest input height and width; memory sets it.
        encoder: how the names of the parameters begin that make features of images, the rest being the decoder or the
            last layers.
        source: where the architecture was published, and whose form of it this is.
        is_size_fixed: whether trained weights fit no other input size than theirs.
        multiple_px: what the network's own height and width are multiples of; images are padded to it inside.
    """

    task: str
    minimum_px: int
    maximum_px: int
    encoder: tuple[str, ...]
    source: str
    is_size_fixed: bool = False
    multiple_px: int = 1


_RESNET_STAGES = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
# Each level of MONAI's AttentionUnet holds the next one; the innermost is convolutions alone.
_INNER = "model.1." + "submodule.1." * 3
_ATTENTION_STAGES = (
    *("model.1." + "submodule.1." * level + "submodule.0." for level in range(3)),
    _INNER + "submodule.conv.",
)

ARCHITECTURES = {
    "lenet": Architecture(
        CLASSIFICATION,
        8,
        224,
        ("0.", "3."),
        "LeCun et al., Gradient-based learning applied to document recognition, 1998",
        is_size_fixed=True,
    ),
    "vgg16": Architecture(
        CLASSIFICATION,
        32,
        256,
        ("features.",),
        "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2015",
        is_size_fixed=True,
    ),
    "resnet18": Architecture(
        CLASSIFICATION,
        32,
        1024,
        _RESNET_STAGES,
        "He et al., Deep residual learning for image recognition, 2016; MONAI's ResNet",
    ),
    "resnet50": Architecture(
        CLASSIFICATION,
        32,
        1024,
        _RESNET_STAGES,
        "He et al., Deep residual learning for image recognition, 2016; MONAI's ResNet",
    ),
    "densenet121": Architecture(
        CLASSIFICATION,
        32,
        1024,
        ("features.",),
        "Huang et al., Densely connected convolutional networks, 2017; MONAI's DenseNet121",
    ),
    "efficientnet_b0": Architecture(
        CLASSIFICATION,
        32,
        1024,
        ("_conv_stem.", "_bn0.", "_blocks.", "_conv_head.", "_bn1."),
        "Tan and Le, EfficientNet, 2019; MONAI's EfficientNetBN",
    ),
    "convnext_tiny": Architecture(
        CLASSIFICATION, 32, 1024, ("stages.", "norm."), "Liu et al., A ConvNet for the 2020s, 2022"
    ),
    "unet": Architecture(
        SEGMENTATION,
        32,
        2048,
        ("conv_0.", "down_"),
        "Ronneberger et al., U-Net, 2015; MONAI's BasicUNet",
    ),
    "segnet": Architecture(
        SEGMENTATION,
        32,
        2048,
        ("encoder.",),
        "Badrinarayanan et al., SegNet, 2017",
        multiple_px=32,
    ),
    "deeplabv3plus": Architecture(
        SEGMENTATION,
        32,
        2048,
        ("encoder.",),
        "Chen et al., Encoder-decoder with atrous separable convolution, 2018; encoder by MONAI",
        multiple_px=16,
    ),
    "resnet_unet": Architecture(
        SEGMENTATION,
        32,
        2048,
        ("encoder.",),
        "Ronneberger et al., U-Net, 2015, with the encoder of He et al., 2016; MONAI's FlexibleUNet",
        multiple_px=32,
    ),
    "attention_unet": Architecture(
        SEGMENTATION,
        32,
        2048,
        ("model.0.", *_ATTENTION_STAGES),
        "Oktay et al., Attention U-Net, 2018; MONAI's AttentionUnet",
        multiple_px=16,
    ),
}

# Whose weights of ImageNet the engine's library can download.
IN_LIBRARY = ("densenet121", "efficientnet_b0")

# What uploaded networks are: their layers are in their own file, which fits one input size.
UPLOADED = {
    f"onnx_{task}": Architecture(task, 1, 4096, (), "an uploaded ONNX file", is_size_fixed=True)
    for task in (CLASSIFICATION, SEGMENTATION)
}

# Ids below are for models and rules that come with the service.
FIRST_FAMILY_ID = 1001
# What a model that a user adds has: allowed value and default, by property; sizes are those of the uploaded network.
FAMILY_DEFAULTS = {
    CLASSIFICATION: {
        "learning rate": (None, "0.0001"),
        "loss function": ("CrossEntropy,SoftCrossEntropy,MSE", "CrossEntropy"),
        "batch size": (None, "16"),
        "metric": ("CategoricalAccuracy,MeanAbsoluteError,MeanSquaredError,AUC", "CategoricalAccuracy"),
    },
    SEGMENTATION: {
        "learning rate": (None, "0.0001"),
        "loss function": (
            "DiceCrossEntropy,CrossEntropy,SoftCrossEntropy,BinaryCrossEntropy,Dice,Focal,MSE",
            "DiceCrossEntropy",
        ),
        "batch size": (None, "4"),
        "metric": ("Dice,IoU", "Dice"),
    },
}


def architecture_of(name: str) -> Architecture:
    """Return the entry of a name, be it of the zoo or of uploaded networks."""
    return ARCHITECTURES.get(name) or UPLOADED[name]
