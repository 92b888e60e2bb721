"""How fast the original toolkit's own loop trains: `training.py` runs this where pyeddl and pyecvl are installed.

As the original back-end does, ECVL loads and augments each batch, and EDDL learns from it. Prints images per second.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pyecvl import ecvl
from pyeddl import eddl
from pyeddl.tensor import Tensor

from app.engines.eddl_engine.architectures import BUILDERS

SECONDS = 8.0
RESNET18_MAPS = (64, 128, 256, 512)


def main(facts: dict) -> None:
    """Train one epoch to warm up, then whole ones until the time has passed."""
    side, size, channels = facts["side_px"], facts["batch_size"], facts["channels"]
    is_segmentation, outputs = facts["is_segmentation"], 1 if facts["is_segmentation"] else 2
    # Masks and images alike; a text of one container reads like the service's.
    text = facts["augmentations"] or "SequentialAugmentationContainer AugToFloat32 divisor=255 end"
    lines = text.replace("divisor=255", "divisor=255 divisor_gt=255").replace(" Aug", "\nAug").replace(" end", "\nend")
    augmentations = ecvl.DatasetAugmentations([ecvl.AugmentationFactory.create(lines)])
    colours = ecvl.ColorType.GRAY if channels == 1 else ecvl.ColorType.RGB
    dataset = ecvl.DLDataset(facts["dataset"], size, augmentations, colours, ecvl.ColorType.GRAY)

    images = eddl.Input([channels, side, side], name="images")
    build = {**BUILDERS, "resnet18": resnet18}[facts["architecture"]]
    last = eddl.Sigmoid if is_segmentation else eddl.Softmax
    net = eddl.Model([images], [last(build(images, outputs), name="output")])
    loss = "binary_cross_entropy" if is_segmentation else "softmax_cross_entropy"
    eddl.build(net, eddl.adam(1e-3), [loss], ["dice" if is_segmentation else "accuracy"], eddl.CS_CPU(-1, "full_mem"))
    net.resize(size)
    inputs = Tensor([size, channels, side, side])
    targets = Tensor([size, 1, side, side] if is_segmentation else [size, outputs])
    batches, indexes = len(dataset.GetSplit()) // size, list(range(size))

    def epoch() -> None:
        dataset.ResetAllBatches()
        for _ in range(batches):
            dataset.LoadBatch(inputs, targets)
            eddl.train_batch(net, [inputs], [targets], indexes)

    epoch()
    began, epochs = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        epoch()
        epochs += 1
    print(epochs * batches * size / (time.monotonic() - began))


def resnet18(images, outputs: int):
    """Build the ResNet of two blocks in each stage, which EDDL's engine has not in its zoo."""
    layer = convolution(images, 64, 7, 2, "stem")
    layer = eddl.MaxPool2D(eddl.Pad(layer, [1, 1, 1, 1], name="pool_pad"), [3, 3], [2, 2], "none", name="pool")
    for stage, maps in enumerate(RESNET18_MAPS):
        for block in range(2):
            name, stride = f"block{stage}_{block}", 2 if stage and not block else 1
            shortcut = layer if stride == 1 else convolution(layer, maps, 1, 2, f"{name}_shortcut", is_active=False)
            layer = convolution(layer, maps, 3, stride, f"{name}_1")
            layer = convolution(layer, maps, 3, 1, f"{name}_2", is_active=False)
            layer = eddl.ReLu(eddl.Add([layer, shortcut], name=f"{name}_add"), name=f"{name}_relu")
    layer = eddl.Flatten(eddl.GlobalAveragePool2D(layer, name="average"), name="flatten")
    return eddl.Dense(layer, outputs, name="head")


def convolution(layer, maps: int, size: int, stride: int, name: str, *, is_active: bool = True):
    """Append a convolution, its normalisation and perhaps a ReLU."""
    layer = eddl.Pad(layer, [size // 2] * 4, name=f"{name}_pad")
    layer = eddl.Conv2D(layer, maps, [size, size], [stride, stride], "none", False, name=f"{name}_conv")
    layer = eddl.BatchNormalization(layer, True, name=f"{name}_norm")
    return eddl.ReLu(layer, name=f"{name}_relu") if is_active else layer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
