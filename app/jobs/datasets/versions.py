"""A new split of a registered dataset becomes a dataset of its own; the old one stays as it is."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from app.datasets.description import Description
from app.datasets.places import base_of
from app.datasets.problems import nearest
from app.datasets.splits import USUAL_FRACTIONS, Splits, divide, fold_fractions
from app.datasets.yaml_format.writing import write
from app.errors import InvalidInput
from app.jobs.datasets.images import share_fetched
from app.jobs.datasets.registration import store
from app.jobs.datasets.sources import Source
from app.jobs.drafts import draft_folder
from app.jobs.request_checks import opened_description
from app.jobs.services import Services

LARGEST_SEED = 2**31 - 1
LONGEST_NAME = 200
VERSION = re.compile(r" \(split \d+\)$")
KEPT = ("task_id", "source", "colour_type")


def split_dataset(services: Services, dataset_id: int, request: Mapping) -> dict:
    """Split a dataset anew and return the record of the new version; its check is started.

    Args:
        services: the opened service.
        dataset_id: of the dataset whose samples are split; those that it leaves out of its splits stay out.
        request: what is wished of `training`, `validation` and `test` (fractions), `folds`, `fold`, `seed`, `group_by`
            and `stratify`.

    Raises:
        NotFound: for an id that no dataset has.
        InvalidInput: naming the field that cannot be used.
    """
    record = services.database.datasets.get(dataset_id)
    try:
        description = opened_description(services, record)
    except InvalidInput:
        services.database.datasets.get(dataset_id)  # its files may be gone because it was deleted a moment ago
        raise
    wishes = {**request, "seed": request.get("seed")}
    if wishes["seed"] is None:
        wishes["seed"] = secrets.randbelow(LARGEST_SEED)
    version = replace(description, splits=_new_splits(description, wishes))
    source = Source(write(version).encode(), "dataset.yml", base_of(record["folder"]), record["source"])
    entry = {
        **{field: record[field] for field in KEPT},
        "name": _version_name(services, record["name"]),
        "version_of": dataset_id,
        "split_settings": wishes,
    }
    with draft_folder(services.storage.dataset_drafts) as draft:
        share_fetched(record, draft)
        return store(services, draft, entry, source, version)


def _new_splits(description: Description, wishes: Mapping) -> Splits:
    used = {index: description.samples[index] for index in description.used_indexes()}
    if any(sample.has_label for sample in used.values()):
        # A split is labelled as a whole or not at all, so those without a label would have to be a split of their own.
        used = {index: sample for index, sample in used.items() if sample.has_label}
    has_classes = any(sample.classes for sample in used.values())
    if wishes.get("stratify") and not has_classes:
        raise InvalidInput.at("stratify", "The images have no classes, so each split cannot get its share of each.")
    group_by = wishes.get("group_by")
    if group_by is not None and group_by not in description.features:
        hint = nearest(group_by, description.features)
        raise InvalidInput.at("group_by", f"The dataset has no feature {group_by!r}; {hint}")
    options = {"seed": wishes["seed"], "is_stratified": wishes.get("stratify") is not False, "group_by": group_by}
    fractions = _fractions(wishes)
    if wishes.get("folds"):
        return _folded(used, fractions, wishes, options)
    return _divided(used, fractions, options)


def _fractions(wishes: Mapping) -> dict[str, float]:
    given = {name: wishes[name] for name in USUAL_FRACTIONS if wishes.get(name) is not None}
    if wishes.get("folds"):
        if set(given) - {"test"}:
            raise InvalidInput.at("folds", "With `folds`, only `test` may be given as a fraction; the rest is folded.")
        return given
    if wishes.get("fold"):
        raise InvalidInput.at("fold", "`fold` says which of the `folds` is for validation; give `folds` too.")
    fractions = given or dict(USUAL_FRACTIONS)
    if sum(fractions.values()) > 1 + 1e-6 or not any(fractions.values()):
        message = f"The fractions sum up to {sum(fractions.values()):g}; more than 0 and at most 1 is expected."
        raise InvalidInput(message, {name: [message] for name in fractions})
    return fractions


def _folded(used: Mapping, fractions: Mapping[str, float], wishes: Mapping, options: dict) -> Splits:
    """Cut the test split off, then fold the rest; `fold` makes one fold validation and all others training."""
    count, chosen = wishes["folds"], wishes.get("fold")
    if chosen is not None and chosen > count:
        raise InvalidInput.at("fold", f"fold is {chosen}, but there are {count} folds.")
    test: tuple[int, ...] = ()
    if fractions.get("test"):
        test = _divided(used, {"folds": 1 - fractions["test"], "test": fractions["test"]}, options)["test"]
    held = set(test)
    folds = _divided({index: used[index] for index in used if index not in held}, fold_fractions(count), options)
    if chosen is not None:
        validation = folds.pop(f"fold_{chosen}")
        folds = {"training": tuple(sorted(sum(folds.values(), ()))), "validation": validation}
    return folds | ({"test": test} if test else {})


def _divided(used: Mapping, fractions: Mapping[str, float], options: dict) -> Splits:
    wanted = sum(fraction > 0 for fraction in fractions.values())
    if len(used) < wanted:
        raise InvalidInput(f"There are {len(used)} images, too few for {wanted} splits.")
    try:
        splits = divide(used, fractions, **options)
    except InvalidInput as error:
        raise InvalidInput.at("group_by", error.message) from error
    return {name: indexes for name, indexes in splits.items() if indexes}


def _version_name(services: Services, name: str) -> str:
    """Return the first free one of `Moles (split 2)`, `Moles (split 3)`, ..."""
    base, number = VERSION.sub("", name), 2
    while services.database.datasets.select(name=(version := f"{base[: LONGEST_NAME - 20]} (split {number})")):
        number += 1
    return version
