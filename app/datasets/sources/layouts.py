"""Make a description of a folder that has none, from the names of its folders and files.

For classification `class_name/image.png`, for segmentation `images/` and `masks/` with files of the same names, or
masks beside their images. All may lie in folders named after splits (`train/`, `val/`, `test/`); otherwise the split is
drawn at random. Of a NIfTI volume each slice is an image, and all of them come into the same split.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.datasets.checks import CLASSIFICATION
from app.datasets.description import Description, Sample
from app.datasets.places import same_anywhere
from app.datasets.problems import shorten
from app.datasets.sources.folders import (
    MOST_FILES,
    content_shown,
    entries,
    holds_images,
    images_below,
    is_image,
    named,
    natural_order,
    refuse_more_than,
)
from app.datasets.sources.mask_names import is_named_as_mask, masks_beside, pair
from app.datasets.splits import SEPARATORS, USUAL_FRACTIONS, divide, usual_name
from app.datasets.volumes import VOLUME, slices_of
from app.errors import InvalidInput

SEED = 0
IMAGE_FOLDER = re.compile(r"(images?|imgs?|jpegimages|inputs?|photos?|pictures?|scans?)")
MASK_FOLDER = re.compile(
    r"(masks?|labels?|annotations?|gts?|groundtruths?|segmentations?|segs?|targets?|segmentationclass|manual)"
)
UNLABELLED_SPLIT = "test"
MASK_CLASS = "foreground"

Members = list[tuple[str, str | None]]  # the location of each image, and its class or the location of its mask


def describe(base: Path, task_name: str, name: str) -> Description:
    """Describe the images of a folder by where they lie, and split them.

    Args:
        base: the folder; locations are relative to it.
        task_name: `classification` or `segmentation`; it decides which layout is looked for.
        name: of the dataset.

    Raises:
        InvalidInput: if the folder is laid out in another way, an image lies beside the folders of the layout, or lacks
            its mask.
        TooLarge: for more files than a description should list.
    """
    is_classification = task_name.casefold() == CLASSIFICATION
    found = _by_split(base, _classes_in) if is_classification else _mask_parts(base)
    classes = _class_names(found, base) if is_classification else (MASK_CLASS,)
    samples: list[Sample] = []
    splits: dict[str, tuple[int, ...]] = {}
    for split, members in found.items():
        start = len(samples)
        for location, label in members:
            samples += slices_of(_sample(location, label, classes if is_classification else ()), base)
            refuse_more_than(MOST_FILES, samples)
        splits[split] = tuple(range(start, len(samples)))
    features = (VOLUME,) if any(sample.values for sample in samples) else ()
    if "" in splits:
        splits = _drawn(samples, VOLUME if features else None)
    return Description(name, _origin(found), classes, features, tuple(samples), splits)


def _drawn(samples: Sequence[Sample], group_by: str | None) -> dict[str, tuple[int, ...]]:
    """Draw the usual splits; fewer volumes than those are enough for the first of them."""
    groups = {sample.values.get(VOLUME, index) for index, sample in enumerate(samples)}
    shares = dict(list(USUAL_FRACTIONS.items())[: len(groups)])
    fractions = {split: share / sum(shares.values()) for split, share in shares.items()}
    drawn = divide(dict(enumerate(samples)), fractions, seed=SEED, group_by=group_by)
    return {split: members for split, members in drawn.items() if members}


def _sample(location: str, label: str | None, classes: Sequence[str]) -> Sample:
    """Return the sample of a file; without classes the label is its mask's location."""
    if label is None:
        return Sample((location,))
    return Sample((location,), (classes.index(label),)) if classes else Sample((location,), None, label)


def _origin(parts: Mapping[str, Members]) -> str:
    if "" in parts:
        return f"Described by its folders; split at random with seed {SEED}."
    return "Described by its folders, which say the splits too."


def _by_split(base: Path, find: Callable[[Path, Path], Members]) -> dict[str, Members]:
    """Return what is found in each folder that is named after a split; without such, all of it under an empty name."""
    parts = _split_folders(base, base)
    if not parts:
        return {"": find(base, base)}
    return {split: _unlabelled(split, part, base) or find(part, base) for split, part in parts.items()}


def _split_folders(folder: Path, base: Path) -> dict[str, Path]:
    """Return the folders that are named after splits; none where such a name may be that of a class.

    Raises:
        InvalidInput: if there are others beside them, or two for one split.
    """
    folders = [path for path in entries(folder) if path.is_dir() and holds_images(path)]
    split_of = {path: usual_name(path.name) for path in folders}
    is_split = any(split and any(inner.is_dir() for inner in entries(path)) for path, split in split_of.items())
    if not is_split and (not folders or not all(split_of.values())):
        return {}
    found: dict[str, Path] = {}
    for path, split in split_of.items():
        if split is None:
            others = ", ".join(other.name for other, split in split_of.items() if split)
            raise InvalidInput(f"{_shown(path, base)} lies beside {others}; its images belong into one of these.")
        if split in found:
            both = f"{found[split].name!r} and {path.name!r}"
            raise InvalidInput(f"{both} are two folders for the {split} split; put their images into one.")
        found[split] = path
    _refuse_images_in(folder, base, "the folders of the splits; move them into these")
    return {split: found[split] for split in USUAL_FRACTIONS if split in found}


def _unlabelled(split: str, part: Path, base: Path) -> Members:
    """Return the images of a test split that nobody labelled: they lie in its folder, or in `images/` alone."""
    inner = [path for path in entries(part) if path.is_dir()]
    is_bare = not inner or (len(inner) == 1 and _is_called(inner[0].name, IMAGE_FOLDER))
    if split != UNLABELLED_SPLIT or not is_bare:
        return []
    locations = images_below(part, base)
    return [] if any(map(is_named_as_mask, locations)) else [(location, None) for location in locations]


def _classes_in(part: Path, base: Path) -> Members:
    """Return location and class name of each image that lies in a folder named after its class."""
    members: Members = []
    for folder in entries(part):
        if folder.is_dir():
            locations = images_below(folder, base)
            if not locations and not entries(folder):
                advice = "put the images of its class into it, or remove it"
                raise InvalidInput(f"{_shown(folder, base)} is empty; {advice}.")
            members += [(location, folder.name) for location in locations]
    if not members:
        raise _no_classes(part, base)
    _refuse_images_in(part, base, "the folders of the classes; move each into that of its class")
    if masks := masks_beside([location for location, _ in members]):
        image, mask = masks[0]
        advice = "keep masks out of the folders of the classes"
        raise InvalidInput(f"{shorten(mask)} seems to be the mask of {shorten(image)}, not an image; {advice}.")
    return members


def _class_names(found: Mapping[str, Members], base: Path) -> tuple[str, ...]:
    labels = sorted({label for members in found.values() for _, label in members if label}, key=natural_order)
    if len(labels) < 2:
        raise _no_classes(base, base)
    if len(labels) == 2 and any(_are_pair(labels[place], labels[1 - place]) for place in (0, 1)):
        advice = "register it for segmentation, or name folders after classes"
        raise InvalidInput(f"The folders {labels[0]!r} and {labels[1]!r} are images and their masks; {advice}.")
    spelt: dict[str, str] = {}
    for label in labels:
        if (other := spelt.setdefault(same_anywhere(label), label)) != label:
            raise InvalidInput(f"The classes {other!r} and {label!r} are spelt alike; give their folders one name.")
    return tuple(labels)


def _are_pair(image_folder: str, mask_folder: str) -> bool:
    return _is_called(image_folder, IMAGE_FOLDER) and _is_called(mask_folder, MASK_FOLDER)


def _no_classes(part: Path, base: Path) -> InvalidInput:
    return InvalidInput(
        f"{_shown(part, base)} has no YAML file and is not laid out as class_name/image.png with at least 2 classes; "
        f"{content_shown(part)}"
    )


def _mask_parts(base: Path) -> dict[str, Members]:
    """Return location and mask of each image; the splits may be named above or below `images/` and `masks/`."""
    image_folder, mask_folder = _one_called(base, IMAGE_FOLDER), _one_called(base, MASK_FOLDER)
    inner = _split_folders(image_folder, base) if image_folder and mask_folder else {}
    if not inner or not mask_folder:
        return _by_split(base, _masks_in)
    masks = {usual_name(path.name): path for path in entries(mask_folder) if path.is_dir()}
    found: dict[str, Members] = {}
    for split, folder in inner.items():
        if split in masks:
            found[split] = _paired(folder, masks[split], base)
        elif not (members := _unlabelled(split, folder, base)):
            raise InvalidInput(f"{_shown(folder, base)} has no folder of masks of its name in {mask_folder.name!r}.")
        else:
            found[split] = members
    return found


def _masks_in(part: Path, base: Path) -> Members:
    """Return location and mask of each image below `images/` whose name a file below `masks/`, or beside it, has."""
    image_folder, mask_folder = _one_called(part, IMAGE_FOLDER), _one_called(part, MASK_FOLDER)
    if image_folder and mask_folder:
        return _paired(image_folder, mask_folder, base)
    locations = [] if image_folder or mask_folder else images_below(part, base)
    if not masks_beside(locations):
        raise InvalidInput(
            f"{_shown(part, base)} has no YAML file and is not laid out as images/ and masks/; {content_shown(part)}"
        )
    masks = [location for location in locations if is_named_as_mask(location)]
    return list(pair([location for location in locations if not is_named_as_mask(location)], masks))


def _paired(image_folder: Path, mask_folder: Path, base: Path) -> Members:
    places = [folder.relative_to(base).as_posix() for folder in (image_folder, mask_folder)]
    images, masks = images_below(image_folder, base), images_below(mask_folder, base)
    if not images:
        raise InvalidInput(f"{_shown(image_folder, base)} has no image; {content_shown(image_folder)}")
    return list(pair(images, masks, *places))


def _one_called(folder: Path, names: re.Pattern[str]) -> Path | None:
    found = [path for path in entries(folder) if path.is_dir() and _is_called(path.name, names)]
    if len(found) > 1:
        both = " and ".join(repr(path.name) for path in found[:2])
        raise InvalidInput(f"{both} are both named as the folder of images or of masks; keep one of them.")
    return found[0] if found else None


def _is_called(folder_name: str, names: re.Pattern[str]) -> bool:
    return names.fullmatch(SEPARATORS.sub("", folder_name.casefold())) is not None


def _refuse_images_in(folder: Path, base: Path, where: str) -> None:
    images = [path for path in entries(folder) if path.is_file() and is_image(path.name, folder)]
    found = [path.relative_to(base).as_posix() for path in images]
    if found:
        raise InvalidInput(f"{named(found)} {'lie' if len(found) > 1 else 'lies'} beside {where}.")


def _shown(part: Path, base: Path) -> str:
    return "The folder" if part == base else f"The folder {part.relative_to(base).as_posix()!r}"
