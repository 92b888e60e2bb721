"""What the properties of a training mean: their fields, limits, and the words that clients use for their values."""

from dataclasses import dataclass

from app.zoo.architectures import CLASSIFICATION, SEGMENTATION


@dataclass(frozen=True)
class Rule:
    """How the value of one property is read.

    `field` names the entry of a training's config; `minimum` and `maximum` are inclusive, `above` exclusive.
    """

    field: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: str | None = None


@dataclass(frozen=True)
class Choice:
    """One canonical value, the tasks it serves, and every spelling clients are known to send."""

    tasks: frozenset[str]
    spellings: tuple[str, ...]


BOTH = frozenset({CLASSIFICATION, SEGMENTATION})
ONLY_CLASSIFICATION = frozenset({CLASSIFICATION})
ONLY_SEGMENTATION = frozenset({SEGMENTATION})

AUTO = "auto"  # of the engine: the one that the setting ENGINE names

# By property name in lower case, blanks for hyphens. Augmentation texts have no limit here: their parser has its own.
RULES = {
    "learning rate": Rule("learning_rate", above=0, maximum=100),
    "loss function": Rule("loss", choices="loss"),
    "epochs": Rule("epochs", minimum=1, maximum=100_000),
    "batch size": Rule("batch_size", minimum=1, maximum=65_536),
    "metric": Rule("metric", choices="metric"),
    "input height": Rule("input_height", minimum=1, maximum=8_192),
    "input width": Rule("input_width", minimum=1, maximum=8_192),
    "training augmentations": Rule("training_augmentations"),
    "validation augmentations": Rule("validation_augmentations"),
    "test augmentations": Rule("test_augmentations"),
    "optimizer": Rule("optimizer", choices="optimizer"),
    "weight decay": Rule("weight_decay", minimum=0, maximum=10),
    "seed": Rule("seed", minimum=0, maximum=2**32 - 1),
    "lr schedule": Rule("lr_schedule", choices="lr_schedule"),
    "warm up epochs": Rule("warmup_epochs", minimum=0, maximum=100_000),
    "early stopping patience": Rule("early_stopping_patience", minimum=0, maximum=100_000),
    "precision": Rule("precision", choices="precision"),
    "class weights": Rule("class_weights", choices="class_weights"),
    "gradient accumulation": Rule("gradient_accumulation", minimum=1, maximum=65_536),
    "devices": Rule("devices", choices="devices"),
    "loader workers": Rule("loader_workers", minimum=1, maximum=64),
    "freeze epochs": Rule("freeze_epochs", minimum=0, maximum=100_000),
    "keep best by": Rule("keep_best_by", choices="keep_best_by"),
    "halve batch size": Rule("halve_batch_size", choices="answer"),
    "pretrained": Rule("pretrained", choices="pretrained"),
    "engine": Rule("engine", choices="engine"),
}

NAME_SYNONYMS = {
    "augmentations": "training augmentations",
    "warmup epochs": "warm up epochs",
    "learning rate schedule": "lr schedule",
}

# Spellings of D3.5, then of the later toolkit; compared without case, blanks, `_` and `-`.
CHOICES = {
    "loss": {
        "cross_entropy": Choice(BOTH, ("CrossEntropy", "cross_entropy", "categorical_cross_entropy")),
        "soft_cross_entropy": Choice(BOTH, ("SoftCrossEntropy", "softmax_cross_entropy", "soft_cross_entropy")),
        "mean_squared_error": Choice(BOTH, ("MSE", "mean_squared_error")),
        "binary_cross_entropy": Choice(BOTH, ("BinaryCrossEntropy", "binary_cross_entropy")),
        "dice": Choice(ONLY_SEGMENTATION, ("Dice",)),
        "dice_cross_entropy": Choice(ONLY_SEGMENTATION, ("DiceCrossEntropy",)),
        "focal": Choice(ONLY_SEGMENTATION, ("Focal",)),
    },
    "metric": {
        "categorical_accuracy": Choice(ONLY_CLASSIFICATION, ("CategoricalAccuracy", "accuracy")),
        "binary_accuracy": Choice(ONLY_CLASSIFICATION, ("BinaryAccuracy",)),
        "mean_absolute_error": Choice(ONLY_CLASSIFICATION, ("MeanAbsoluteError", "MAE")),
        "mean_squared_error": Choice(ONLY_CLASSIFICATION, ("MeanSquaredError", "MSE")),
        "auc": Choice(ONLY_CLASSIFICATION, ("AUC", "ROC AUC")),
        "dice": Choice(ONLY_SEGMENTATION, ("Dice",)),
        "iou": Choice(ONLY_SEGMENTATION, ("IoU",)),
    },
    "optimizer": {
        "adam": Choice(BOTH, ("Adam",)),
        "adamw": Choice(BOTH, ("AdamW",)),
        "sgd": Choice(BOTH, ("SGD",)),
    },
    "lr_schedule": {
        "constant": Choice(BOTH, ("Constant",)),
        "cosine": Choice(BOTH, ("Cosine",)),
        "step": Choice(BOTH, ("Step",)),
        "plateau": Choice(BOTH, ("ReduceOnPlateau",)),
    },
    "precision": {
        "float32": Choice(BOTH, ("Float32",)),
        "mixed": Choice(BOTH, ("Mixed",)),
    },
    "class_weights": {
        "none": Choice(BOTH, ("None",)),
        "balanced": Choice(BOTH, ("Balanced",)),
        "sampler": Choice(BOTH, ("Sampler",)),
    },
    "devices": {
        "auto": Choice(BOTH, ("Auto",)),
        "cpu": Choice(BOTH, ("CPU",)),
        "gpu": Choice(BOTH, ("GPU", "1GPU")),
        "two_gpus": Choice(BOTH, ("2GPUs",)),
        "four_gpus": Choice(BOTH, ("4GPUs",)),
        "two_cpus": Choice(BOTH, ("2CPUs",)),
        "four_cpus": Choice(BOTH, ("4CPUs",)),
    },
    "keep_best_by": {
        "metric": Choice(BOTH, ("Metric",)),
        "loss": Choice(BOTH, ("Loss",)),
    },
    "pretrained": {
        "none": Choice(BOTH, ("None",)),
        "file": Choice(BOTH, ("File",)),
        "library": Choice(BOTH, ("Library",)),
    },
    "engine": {
        AUTO: Choice(BOTH, ("Auto",)),
        "torch": Choice(BOTH, ("Torch", "PyTorch")),
        "eddl": Choice(BOTH, ("EDDL", "pyeddl")),
    },
    "answer": {
        "no": Choice(BOTH, ("No", "false")),
        "yes": Choice(BOTH, ("Yes", "true")),
    },
}

# What fits a dataset whose images have any number of classes each, by kind; the first is the default.
MULTI_LABEL_CHOICES = {
    "loss": ("binary_cross_entropy", "mean_squared_error"),
    "metric": ("binary_accuracy", "mean_absolute_error", "mean_squared_error", "auc"),
}


def property_key(name: str) -> str:
    """Return the key in `RULES` that a client's spelling of a property name stands for (known or not)."""
    key = " ".join(name.replace("_", " ").replace("-", " ").lower().split())
    return NAME_SYNONYMS.get(key, key)


def canonical_choice(kind: str, text: str) -> str | None:
    """Return the canonical value for a client's spelling, or None if no spelling is like it."""
    wanted = _plain(text)
    for value, choice in CHOICES[kind].items():
        if any(_plain(spelling) == wanted for spelling in (value, *choice.spellings)):
            return value
    return None


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
