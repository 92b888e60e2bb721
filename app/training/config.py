"""The frozen choices of one training, and how they are resolved from what the client sent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from app.augment import parser
from app.errors import InvalidInput
from app.files import damaged
from app.forms import fault_in
from app.zoo.architectures import ARCHITECTURES, SEGMENTATION, UPLOADED, architecture_of
from app.zoo.properties import CHOICES, RULES, canonical_choice, property_key

LONGEST_ECHO = 60


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a training depends on besides the images.

    `input_height` and `input_width` are in pixels; `channels` is the depth of the images the network sees;
    the three augmentation texts are stored as the client wrote them. With `is_multi_label` an image has any number of
    the classes, and each is decided by itself. An early stopping patience of 0 means never. `loss_weights` has a
    factor for each class, none where all weigh the same; `batch_parts` is above 1 where a whole batch does not fit
    into memory.
    """

    task: str
    architecture: str
    classes: tuple[str, ...]
    channels: int
    learning_rate: float
    loss: str
    metric: str
    epochs: int
    batch_size: int
    input_height: int
    input_width: int
    optimizer: str
    weight_decay: float
    seed: int
    training_augmentations: str = ""
    validation_augmentations: str = ""
    test_augmentations: str = ""
    engine: str = "torch"
    is_multi_label: bool = False
    lr_schedule: str = "constant"
    warmup_epochs: int = 0
    early_stopping_patience: int = 0
    precision: str = "float32"
    class_weights: str = "none"
    gradient_accumulation: int = 1
    devices: str = "auto"
    loader_workers: int = 1
    freeze_epochs: int = 0
    keep_best_by: str = "metric"
    halve_batch_size: str = "no"
    pretrained: str = "none"
    loss_weights: tuple[float, ...] = ()
    batch_parts: int = 1

    @property
    def is_shared(self) -> bool:
        """Whether several processes or devices share each batch."""
        return self.devices.startswith(("two_", "four_"))

    def for_one_device(self) -> "TrainingConfig":
        """Return the config with which the network is computed where nothing is learned: nobody waits for others."""
        on_one = "cpu" if self.devices in ("cpu", "two_cpus", "four_cpus") else "auto"
        return replace(self, devices=on_one)

    @property
    def output_channels(self) -> int:
        """The number of logits: one for a mask of at most one class, else one for each class."""
        return 1 if self.task == SEGMENTATION and len(self.classes) <= 1 else len(self.classes)

    def augmentations(self, split: str) -> str:
        """Return the augmentation text of `training`, `validation` or `test`."""
        return getattr(self, f"{split}_augmentations")

    def to_dict(self) -> dict:
        """Return the JSON form, with lists for tuples."""
        return asdict(self) | {"classes": list(self.classes), "loss_weights": list(self.loss_weights)}

    @classmethod
    def from_dict(cls, values: Mapping) -> "TrainingConfig":
        """Read `to_dict`'s form; keys of other versions are left out."""
        kept = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        return cls(**kept | {name: tuple(kept.get(name, ())) for name in ("classes", "loss_weights")})


def stored_config(path: Path, values: Any) -> TrainingConfig:
    """Return the config that was read from this file.

    Raises:
        StorageDamaged: naming the file and the fault, for anything else.
    """
    fault = fault_in(values, TrainingConfig)
    if fault is None and values["architecture"] not in {**ARCHITECTURES, **UPLOADED}:
        fault = "at architecture the name of one is expected"
    if fault:
        raise damaged(path, f"has a fault in its config: {fault}")
    return TrainingConfig.from_dict(values)


def lacking_properties(properties: Sequence[Mapping]) -> list[str]:
    """Return the keys of the properties that every training needs and that none of these records is of."""
    known = {property_key(record["name"]) for record in properties}
    needed = {field.name for field in fields(TrainingConfig) if field.default is MISSING}
    return [key for key, rule in RULES.items() if rule.field in needed and key not in known]


@dataclass(frozen=True)
class ResolvedProperties:
    """The values of a training by field, and their texts by property id as `/trainingSettings` shows them."""

    values: dict
    texts: dict[int, str | None]


def resolve_properties(
    requested: Sequence[Mapping], properties: Sequence[Mapping], allowed: Sequence[Mapping], architecture: str
) -> ResolvedProperties:
    """Take the value of each property from the request, else the allowed properties, else the property's own default.

    Args:
        requested: `{"name", "value"}` items; a value is text, a number, or a list of at most one of them.
        properties: the records of every property; `lacking_properties` finds none of them gone.
        allowed: the allowed-property records of this model, those of the dataset before those of any dataset.
        architecture: key of the zoo's entry.

    Raises:
        InvalidInput: listing every unknown, repeated or unusable property by its name.
    """
    sent, faults = _sent_values(requested, properties)
    values, texts = {}, {}
    for record in properties:
        rule = RULES.get(property_key(record["name"]))
        if rule is None:
            continue
        special = [row for row in allowed if row["property_id"] == record["id"]]
        text = sent.get(record["id"])
        if text is None:
            defaults = [row["default_value"] for row in special if row["default_value"] is not None]
            text = defaults[0] if defaults else record["default"]
        try:
            values[rule.field] = _read(record, rule, text, _limits(record, special), architecture)
            texts[record["id"]] = _shown(record, values[rule.field], text)
        except InvalidInput as fault:
            faults.append(fault)
    if not faults:
        faults = _size_faults(values, architecture)
    if faults:
        errors = {name: found for fault in faults for name, found in fault.errors.items()}
        places = {name: found for fault in faults for name, found in fault.places.items()}
        raise InvalidInput(faults[0].message, errors, places)
    return ResolvedProperties(values, texts)


def _limits(record: Mapping, special: Sequence[Mapping]) -> Mapping:
    """Return the row whose allowed values hold: the first that has some, else the property's own."""
    return next((row for row in special if row["allowed_value"]), {"allowed_value": record["values"]})


def _shown(record: Mapping, value, text: str | None) -> str | None:
    """Return the text that `/trainingSettings` shows: whole numbers plainly, all else as it was sent."""
    if record["type"] == "integer":
        return str(value)
    return text if text is None or record["type"] == "string" else text.strip()


def _sent_values(
    requested: Sequence[Mapping], properties: Sequence[Mapping]
) -> tuple[dict[int, str], list[InvalidInput]]:
    by_key = {property_key(record["name"]): record for record in properties}
    sent: dict[int, str] = {}
    faults: list[InvalidInput] = []
    for item in requested:
        record = by_key.get(property_key(item["name"]))
        if record is None:
            faults.append(InvalidInput.at(item["name"], _unknown_property(item["name"], by_key)))
            continue
        text = _text_of(item["value"])
        if text is None:
            continue
        if sent.get(record["id"], text) != text:
            name = record["name"]
            faults.append(InvalidInput.at(name, f"Property {name!r} is given twice with different values."))
        sent[record["id"]] = text
    return sent, faults


def _unknown_property(name: str, by_key: Mapping[str, Mapping]) -> str:
    close = get_close_matches(property_key(name), by_key, n=1)
    hint = f"did you mean {by_key[close[0]]['name']!r}?" if close else "GET /backend/properties lists what there is."
    return f"There is no property {_short(name)}; {hint}"


def _text_of(value) -> str | None:
    """Return a sent value as text; None where the client left the field untouched."""
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return value if isinstance(value, str) else repr(value)


def _read(record: Mapping, rule, text: str | None, limits: Mapping, architecture: str):
    name = record["name"]
    if rule.choices is not None:
        return _read_choice(name, rule.choices, text, limits, architecture_of(architecture).task)
    if record["type"] == "string":
        parser.parse(text or "", name)
        return text or ""
    return _read_number(name, rule, text, integer=record["type"] == "integer")


def _read_choice(name: str, kind: str, text: str | None, limits: Mapping, task: str) -> str:
    value = canonical_choice(kind, text or "")
    fitting = [choice for choice, entry in CHOICES[kind].items() if task in entry.tasks]
    if limits["allowed_value"]:
        listed = {canonical_choice(kind, part) for part in limits["allowed_value"].split(",")}
        fitting = [choice for choice in fitting if choice in listed]
    if value in fitting:
        return value
    names = ", ".join(CHOICES[kind][choice].spellings[0] for choice in fitting)
    why = "is not known" if value is None else limits.get("why_others_do_not_fit", f"does not fit this {task} model")
    raise InvalidInput.at(name, f"{name}: {_short(text)} {why}; choose one of {names}.")


def _read_number(name: str, rule, text: str | None, *, integer: bool) -> int | float:
    try:
        number = float(text) if text is not None and text.isascii() and "_" not in text else math.nan
        if integer and number.is_integer():
            number = int(number)
    except ValueError:
        number = math.nan
    is_whole = not integer or isinstance(number, int)
    fits = (
        math.isfinite(number)
        and (rule.minimum is None or number >= rule.minimum)
        and (rule.maximum is None or number <= rule.maximum)
        and (rule.above is None or number > rule.above)
    )
    if is_whole and fits:
        return number
    what = "a whole number" if integer else "a number with a decimal point" if "," in (text or "") else "a number"
    low = f"greater than {rule.above}" if rule.above is not None else f"from {rule.minimum}"
    raise InvalidInput.at(name, f"{name}: {_short(text)} cannot be used; give {what} {low} up to {rule.maximum}.")


def _size_faults(values: Mapping, architecture: str) -> list[InvalidInput]:
    entry = architecture_of(architecture)
    sizes = {"Input height": values["input_height"], "Input width": values["input_width"]}
    return [
        InvalidInput.at(
            name, f"{name}: {size} pixels do not suit this model; give {entry.minimum_px} to {entry.maximum_px}."
        )
        for name, size in sizes.items()
        if not entry.minimum_px <= size <= entry.maximum_px
    ]


def _short(text: str | None) -> str:
    shown = repr(text)
    return shown if len(shown) <= LONGEST_ECHO else shown[: LONGEST_ECHO - 3] + "..."
