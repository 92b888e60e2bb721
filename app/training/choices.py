"""Which properties make sense together, and for a dataset: what is refused before a training, and what is only told."""

from collections.abc import Sequence

from app.datasets.description import Description
from app.errors import InvalidInput
from app.training.config import TrainingConfig
from app.training.schedule import PLATEAU_EPOCHS, earliest_reduction
from app.zoo.architectures import SEGMENTATION


def check_choices(config: TrainingConfig, description: Description, *, is_fine_tuning: bool) -> None:
    """Refuse what makes no sense.

    Args:
        config: of the training.
        description: of its dataset.
        is_fine_tuning: whether it starts from weights.

    Raises:
        InvalidInput: naming each property that makes no sense, and why.
    """
    faults = {
        name: [f"{name}: {fault}"]
        for name, fault in {
            "Warm-up epochs": _warm_up_fault(config),
            "Freeze epochs": _freeze_fault(config, is_fine_tuning=is_fine_tuning),
            "Early stopping patience": _patience_fault(config, description),
            "Class weights": _class_weights_fault(config, description),
            "Metric": _metric_fault(config, description),
            "Halve batch size": _halving_fault(config),
        }.items()
        if fault
    }
    if faults:
        raise InvalidInput(next(iter(faults.values()))[0], faults)


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Return the weight of each class: samples / (classes x samples of the class); their mean over samples is 1.

    The formula is scikit-learn's for `class_weight="balanced"`; every class has a sample.
    """
    return tuple(sum(counts) / (len(counts) * count) for count in counts)


def remarks(config: TrainingConfig, sample_count: int) -> list[str]:
    """Return what works but may not be what was meant.

    Args:
        config: of the training.
        sample_count: of the training split.
    """
    found = []
    if config.batch_size > sample_count:
        found.append(
            f"Batch size {config.batch_size} is more than the {sample_count} images of the training split: "
            "each epoch is a single step"
        )
    elif config.batch_size * config.gradient_accumulation > sample_count:
        found.append(
            f"{config.gradient_accumulation} batches of {config.batch_size} are more than the {sample_count} images of "
            "the training split: each epoch is a single step"
        )
    if config.early_stopping_patience >= config.epochs:
        found.append(
            f"Early stopping patience {config.early_stopping_patience} cannot end a training of {config.epochs} epochs"
        )
    if config.epochs <= earliest_reduction(config):
        found.append(f"{config.epochs} epochs end before the LR schedule reduces the rate: it is as good as Constant")
    if config.halve_batch_size == "yes" and config.batch_size == 1:
        found.append("Halve batch size has nothing to halve in batches of one image")
    return found


def _warm_up_fault(config: TrainingConfig) -> str | None:
    if config.warmup_epochs < config.epochs:
        return None
    return f"{config.warmup_epochs} of {config.epochs} epochs leave none with the full rate; give fewer than Epochs."


def _freeze_fault(config: TrainingConfig, *, is_fine_tuning: bool) -> str | None:
    if not config.freeze_epochs:
        return None
    if not is_fine_tuning:
        return "there is nothing to freeze in a training from scratch; give weights_id too, or 0."
    if config.freeze_epochs >= config.epochs:
        return f"{config.freeze_epochs} of {config.epochs} epochs leave none for the encoder; give fewer than Epochs."
    return None


def _patience_fault(config: TrainingConfig, description: Description) -> str | None:
    patience = config.early_stopping_patience
    if not patience:
        return None
    if not description.has_labels("validation"):
        return "the dataset has no labelled validation split to be judged by; add one to the dataset, or give 0."
    if config.lr_schedule == "plateau" and patience <= PLATEAU_EPOCHS:
        return (
            f"after {patience} epochs without a better one the training would end before the rate is reduced on a "
            f"plateau, which takes {PLATEAU_EPOCHS}; give more, or another LR schedule."
        )
    return None


def _metric_fault(config: TrainingConfig, description: Description) -> str | None:
    if config.metric != "auc" or config.keep_best_by != "metric":
        return None
    split = "validation" if description.has_labels("validation") else "training"
    images = len(description.split(split))
    if any(0 < count < images for count in description.class_counts(split)):
        return None
    return (
        f"an AUC compares images of a class with others, and those of the {split} split all have the same classes, so "
        "that no epoch would be the best; add others to the split, or choose another metric, or give Keep best by Loss."
    )


def _halving_fault(config: TrainingConfig) -> str | None:
    if config.halve_batch_size == "no" or not config.is_shared:
        return None
    return "several Devices cannot halve a batch that they share; give No and a smaller Batch size, or a single device."


def _class_weights_fault(config: TrainingConfig, description: Description) -> str | None:
    if config.class_weights == "none":
        return None
    if config.task == SEGMENTATION:
        return "weights are for the classes of images; for rare classes of masks choose a loss such as Dice, and None."
    members = [description.samples[index] for index in description.split("training")]
    if any(sample.classes is None or len(sample.classes) != 1 for sample in members):
        return "weights need exactly one class for each image of the training split; choose None."
    absent = [
        name for name, count in zip(description.classes, description.class_counts("training"), strict=True) if not count
    ]
    if absent:
        return f"class {absent[0]!r} has no image in the training split to be weighted; add some, or choose None."
    return None
