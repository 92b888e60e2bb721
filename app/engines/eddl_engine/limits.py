"""What the EDDL engine cannot do, told before a job begins. Pure Python: the web process asks it."""

from pathlib import PurePosixPath

from app.datasets.description import Description, Sample
from app.datasets.places import split_text
from app.engines.eddl_engine.augmentation_text import text_fault
from app.training.config import TrainingConfig
from app.zoo.architectures import UPLOADED

ARCHITECTURES = {"lenet": "LeNet", "vgg16": "VGG16", "resnet50": "ResNet50", "unet": "U-Net", "segnet": "SegNet"}
OPTIMIZERS = {"adam": "Adam", "sgd": "SGD"}
READABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm", "")
CHOOSE_TORCH = "or choose the engine Torch"


def faults(config: TrainingConfig, description: Description | None = None) -> dict[str, str]:
    """Return a sentence for each property, and for the dataset, with which EDDL cannot train or predict."""
    found = {
        "Engine": _architecture_fault(config),
        "Optimizer": _unless(config.optimizer in OPTIMIZERS, "EDDL has Adam and SGD; choose one of them"),
        "Weight decay": _unless(not config.weight_decay, "EDDL's optimizers take it and leave it; give 0"),
        "Loss function": _unless(config.loss != "focal", "EDDL has no focal loss; choose another"),
        "Precision": _unless(config.precision == "float32", "EDDL computes in Float32 only; give that"),
        "Devices": _unless(
            config.devices in ("auto", "cpu"), "the EDDL engine computes on the processor; give Auto or CPU"
        ),
        "Loader workers": _unless(config.loader_workers == 1, "ECVL reads a dataset by one worker here; give 1"),
        "Freeze epochs": _unless(not config.freeze_epochs, "the EDDL engine freezes no layers; give 0"),
        "Halve batch size": _unless(
            config.halve_batch_size == "no", "EDDL does not tell that memory is short; give No and a smaller Batch size"
        ),
        "Pretrained": _unless(
            config.pretrained == "none", "these files are PyTorch's; give None, and start from weights_id instead"
        ),
    }
    if config.channels not in (1, 3):
        found["dataset_id"] = f"ECVL gives images of 1 or 3 channels, and these have {config.channels}"
    for split in ("training", "validation", "test"):
        found[f"{split.capitalize()} augmentations"] = text_fault(config.augmentations(split))
    sentences = {name: f"{name}: {fault}, {CHOOSE_TORCH}." for name, fault in found.items() if fault}
    unreadable = _unreadable(description) if description else None
    return sentences | ({"dataset_id": unreadable} if unreadable else {})


def _unless(is_possible: bool, fault: str) -> str | None:
    return None if is_possible else fault


def _architecture_fault(config: TrainingConfig) -> str | None:
    if config.architecture in ARCHITECTURES or config.architecture in UPLOADED:
        return None
    return f"EDDL builds {', '.join(ARCHITECTURES.values())}, and not {config.architecture}; take one of these models"


def _unreadable(description: Description) -> str | None:
    """Return a sentence about the first image that ECVL would not read, or not as the service does."""
    for index in description.used_indexes():
        if fault := _sample_fault(description.samples[index]):
            return f"dataset_id: {fault}, {CHOOSE_TORCH}."
    return None


def _sample_fault(sample: Sample) -> str | None:
    if len(sample.location) > 1:
        return f"the image {sample.location[0]!r} and others are planes of one image, which ECVL does not put together"
    for location in filter(None, (*sample.location, sample.mask)):
        file, part = split_text(location)
        if part:
            return f"{location!r} is a part of a file, and ECVL reads whole ones; store it as a PNG file"
        suffix = PurePosixPath(file).suffix.lower()
        if suffix not in READABLE_SUFFIXES:
            return f"ECVL does not read {location!r}; give PNG, JPEG, BMP or TIFF files"
    return None
