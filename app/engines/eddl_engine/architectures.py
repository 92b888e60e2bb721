"""The zoo's architectures in pyeddl's layers; each builder returns the layer of the logits.

Every layer has a name of its own, for EDDL would number them through all networks of a process. EDDL wants the same
padding on both sides, and has it as a layer of its own where a convolution steps by two.
"""

from collections.abc import Callable

from pyeddl import eddl

VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
RESNET_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
UNET_MAPS = (32, 32, 64, 128, 256)

Builder = Callable[[object, int], object]


def lenet(images, outputs: int):
    """Build LeNet with 20 and 50 feature maps and 500 hidden units."""
    layer = images
    for number, maps in enumerate((20, 50), start=1):
        layer = eddl.Conv2D(layer, maps, [5, 5], name=f"conv{number}")
        layer = eddl.ReLu(layer, name=f"relu{number}")
        layer = eddl.MaxPool2D(layer, [2, 2], [2, 2], "none", name=f"pool{number}")
    layer = eddl.Flatten(layer, name="flatten")
    layer = eddl.ReLu(eddl.Dense(layer, 500, name="hidden"), name="relu3")
    return eddl.Dense(layer, outputs, name="head")


def vgg16(images, outputs: int):
    """Build VGG16, configuration D, without normalisation, and without dropout.

    EDDL's dropout draws random numbers that nothing outside can seed, and scales where ONNX's does not.
    """
    layer = images
    for stage, depths in enumerate(VGG_STAGES, start=1):
        for number, maps in enumerate(depths, start=1):
            layer = eddl.Conv2D(layer, maps, [3, 3], name=f"conv{stage}_{number}")
            layer = eddl.ReLu(layer, name=f"relu{stage}_{number}")
        layer = eddl.MaxPool2D(layer, [2, 2], [2, 2], "none", name=f"pool{stage}")
    layer = eddl.Flatten(layer, name="flatten")
    for number in (1, 2):
        layer = eddl.ReLu(eddl.Dense(layer, 4096, name=f"hidden{number}"), name=f"relu_hidden{number}")
    return eddl.Dense(layer, outputs, name="head")


def resnet50(images, outputs: int):
    """Build ResNet50 with bottlenecks; the stride is in their 3 x 3 convolutions."""
    layer = _convolution(images, 64, 7, 2, "stem")
    layer = eddl.Pad(layer, [1, 1, 1, 1], name="pool_pad")  # zeros, below which nothing is after a ReLU
    layer = eddl.MaxPool2D(layer, [3, 3], [2, 2], "none", name="pool")
    for stage, (maps, count) in enumerate(RESNET_STAGES, start=1):
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            layer = _bottleneck(layer, maps, stride, f"layer{stage}_{number}", is_first=number == 1)
    layer = eddl.Flatten(eddl.GlobalAveragePool2D(layer, name="average"), name="flatten")
    return eddl.Dense(layer, outputs, name="head")


def unet(images, outputs: int):
    """Build a U-Net of five levels with the feature maps of MONAI's BasicUNet, and batch normalisation."""
    layer = _twice(images, UNET_MAPS[0], "level0")
    skips = []
    for level, maps in enumerate(UNET_MAPS[1:], start=1):
        skips.append(layer)
        layer = eddl.MaxPool2D(layer, [2, 2], [2, 2], "none", name=f"pool{level}")
        layer = _twice(layer, maps, f"level{level}")
    for level, skip in reversed(list(enumerate(skips))):
        maps = UNET_MAPS[level]
        # On a processor EDDL has no transposed convolution.
        layer = _as_large(eddl.UpSampling2D(layer, [2, 2], name=f"up{level}"), skip, f"up{level}")
        layer = _convolution(layer, maps, 3, 1, f"up{level}")
        layer = _twice(eddl.Concat([skip, layer], name=f"concat{level}"), maps, f"decoder{level}")
    return eddl.Conv2D(layer, outputs, [1, 1], name="head")


def segnet(images, outputs: int):
    """Build SegNet: VGG16's convolutions with batch normalisation, and a decoder that repeats pixels."""
    layer, before = images, []
    for stage, depths in enumerate(VGG_STAGES):
        for number, maps in enumerate(depths):
            layer = _convolution(layer, maps, 3, 1, f"encoder{stage}_{number}")
        before.append(layer)
        layer = eddl.MaxPool2D(layer, [2, 2], [2, 2], "none", name=f"pool{stage}")
    for stage in reversed(range(len(VGG_STAGES))):
        layer = _as_large(eddl.UpSampling2D(layer, [2, 2], name=f"up{stage}"), before[stage], f"up{stage}")
        kept = VGG_STAGES[stage][:-1]
        for number, maps in enumerate((*kept, VGG_STAGES[stage - 1][-1]) if stage else kept):
            layer = _convolution(layer, maps, 3, 1, f"decoder{stage}_{number}")
    return eddl.Conv2D(layer, outputs, [3, 3], name="head")


BUILDERS: dict[str, Builder] = {
    "lenet": lenet,
    "vgg16": vgg16,
    "resnet50": resnet50,
    "unet": unet,
    "segnet": segnet,
}


def _convolution(layer, maps: int, size: int, stride: int, name: str, *, is_active: bool = True):
    """Append a convolution without bias, its normalisation, and a ReLU."""
    padding = "same"
    if stride > 1:
        padding = "none"
        if size > 1:
            layer = eddl.Pad(layer, [size // 2] * 4, name=f"{name}_pad")
    layer = eddl.Conv2D(layer, maps, [size, size], [stride, stride], padding, False, name=f"{name}_conv")
    layer = eddl.BatchNormalization(layer, True, name=f"{name}_norm")
    return eddl.ReLu(layer, name=f"{name}_relu") if is_active else layer


def _bottleneck(layer, maps: int, stride: int, name: str, *, is_first: bool):
    shortcut = layer
    if is_first:
        shortcut = _convolution(layer, 4 * maps, 1, stride, f"{name}_shortcut", is_active=False)
    layer = _convolution(layer, maps, 1, 1, f"{name}_1")
    layer = _convolution(layer, maps, 3, stride, f"{name}_2")
    layer = _convolution(layer, 4 * maps, 1, 1, f"{name}_3", is_active=False)
    return eddl.ReLu(eddl.Add([layer, shortcut], name=f"{name}_add"), name=f"{name}_relu")


def _twice(layer, maps: int, name: str):
    return _convolution(_convolution(layer, maps, 3, 1, f"{name}_1"), maps, 3, 1, f"{name}_2")


def _as_large(layer, other, name: str):
    """Pad a layer to another's size: a pooling drops the odd row or column, which comes back as zeros."""
    lacking = [int(wanted - had) for wanted, had in zip(other.output.shape[2:], layer.output.shape[2:], strict=True)]
    return eddl.Pad(layer, [0, lacking[1], lacking[0], 0], name=f"{name}_pad") if any(lacking) else layer
