"""Make a description of a folder that has none, from the names of its folders and files.

For classification `class_name/image.png`, for segmentation `images/` and `masks/` with files of the same names. Both
may lie in folders named after splits (`train/`, `val/`, `test/`); otherwise the split is drawn at random. Of a NIfTI
volume each slice is an image, and all of them come into the same split.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from app.datasets.checks import CLASSIFICATION
from app.datasets.description import Description, Sample
from app.datasets.formats.kinds import NIFTI_SUFFIXES
from app.datasets.formats.nifti_header import volume_shape
from app.datasets.problems import names_shown, shorten
from app.datasets.splits import USUAL_FRACTIONS, divide
from app.datasets.yaml_samples import IMAGE_SUFFIXES
from app.errors import InvalidInput, TooLarge

SEED = 0
MOST_FILES = 300_000
MOST_NAMED = 3
DESCRIPTION_SUFFIXES = (".yml", ".yaml")
SPLIT_OF_FOLDER = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
IMAGE_FOLDERS = ("images", "image", "imgs")
MASK_FOLDERS = ("masks", "mask", "labels")
MASK_ENDINGS = ("", "_mask", "-mask", "_segmentation", "_seg")
MASK_CLASS = "foreground"
VOLUME = "volume"  # the feature that keeps the slices of one together


def find_base(folder: Path) -> Path:
    """Return the folder where a dataset begins: that which has more in it than one other folder."""
    while True:
        entries = _entries(folder)
        if len(entries) != 1 or not entries[0].is_dir() or entries[0].is_symlink():
            return folder
        folder = entries[0]


def find_description(base: Path) -> Path | None:
    """Return the one YAML file of a folder, None if it has none.

    Raises:
        InvalidInput: naming them, if there are several.
    """
    found = [path for path in _entries(base) if path.suffix.lower() in DESCRIPTION_SUFFIXES and path.is_file()]
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:10])
        raise InvalidInput(f"The folder has {len(found)} YAML files, {names}; one is expected.")
    return found[0] if found else None


def describe(base: Path, task_name: str, name: str) -> Description:
    """Describe the images of a folder by where they lie, and split them.

    Args:
        base: the folder; locations are relative to it.
        task_name: `classification` or `segmentation`; it decides which layout is looked for.
        name: of the dataset.

    Raises:
        InvalidInput: if the folder is laid out in another way, or an image lacks its mask.
        TooLarge: for more files than a description should list.
    """
    parts = _split_folders(base) or {"": base}
    find = _classes_in if task_name.casefold() == CLASSIFICATION else _masks_in
    found = [(split, find(part, base)) for split, part in parts.items()]
    labels = sorted({label for _, members in found for _, label in members})
    is_classification = find is _classes_in
    if is_classification and len(labels) < 2:
        raise _no_classes(base, base)
    classes = tuple(labels) if is_classification else (MASK_CLASS,)
    samples: list[Sample] = []
    splits: dict[str, tuple[int, ...]] = {}
    for split, members in found:
        start = len(samples)
        for location, label in members:
            samples += _samples_of(base, location, label, classes if is_classification else ())
            _refuse_more_than(MOST_FILES, samples)
        splits[split] = tuple(range(start, len(samples)))
    features = (VOLUME,) if any(sample.values for sample in samples) else ()
    if "" in splits:
        splits = _drawn(samples, VOLUME if features else None)
    return Description(name, _origin(parts), classes, features, tuple(samples), splits)


def _drawn(samples: Sequence[Sample], group_by: str | None) -> dict[str, tuple[int, ...]]:
    """Draw the usual splits; fewer volumes than those are enough for the first of them."""
    groups = {sample.values.get(VOLUME, index) for index, sample in enumerate(samples)}
    shares = dict(list(USUAL_FRACTIONS.items())[: len(groups)])
    fractions = {split: share / sum(shares.values()) for split, share in shares.items()}
    drawn = divide(dict(enumerate(samples)), fractions, seed=SEED, group_by=group_by)
    return {split: members for split, members in drawn.items() if members}


def _samples_of(base: Path, location: str, label: str, classes: Sequence[str]) -> Iterator[Sample]:
    """Yield the sample of an image, or of each slice of a volume; without classes the label is its mask's location."""
    count = _slice_count(base, location)
    values: dict[str, object] = {VOLUME: location} if count > 1 else {}
    if not classes and (own := _slice_count(base, label)) != count:
        counts = f"{shorten(location)} has {_slices(count)} and its mask {shorten(label)} {_slices(own)}"
        raise InvalidInput(f"{counts}; a mask has a slice for each of its volume's.")
    for index in range(count):
        part = f"#slice={index}" if count > 1 else ""
        if classes:
            yield Sample((location + part,), (classes.index(label),), values=values)
        else:
            yield Sample((location + part,), None, label + part, values)


def _slice_count(base: Path, location: str) -> int:
    if not location.lower().endswith(NIFTI_SUFFIXES):
        return 1
    shape = volume_shape(base / location, shorten(location))
    if (volumes := math.prod(shape[3:])) > 1:
        advice = "name those that are images in a YAML file, as name.nii.gz#volume=0&slice=3"
        raise InvalidInput(f"{shorten(location)} holds {volumes} volumes; {advice}.")
    return shape[2]


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"


def _refuse_more_than(most: int, found: Sequence) -> None:
    if len(found) > most:
        raise TooLarge(f"The folder has more than {most:,} images; describe the dataset by a YAML file.")


def _origin(parts: Mapping[str, Path]) -> str:
    if "" in parts:
        return f"Described by its folders; split at random with seed {SEED}."
    return "Described by its folders, which say the splits too."


def _split_folders(base: Path) -> dict[str, Path]:
    """Return the folders that are named after splits, if all folders are; else none."""
    folders = [path for path in _entries(base) if path.is_dir()]
    named = {SPLIT_OF_FOLDER.get(path.name.casefold(), ""): path for path in folders}
    if "" in named or len(named) < len(folders):
        return {}
    return {split: named[split] for split in USUAL_FRACTIONS if split in named}


def _classes_in(part: Path, base: Path) -> list[tuple[str, str]]:
    """Return location and class name of each image that lies in a folder named after its class."""
    members = [
        (location, folder.name) for folder in _entries(part) if folder.is_dir() for location in _images(folder, base)
    ]
    if not members:
        raise _no_classes(part, base)
    return members


def _no_classes(part: Path, base: Path) -> InvalidInput:
    return InvalidInput(
        f"{_shown(part, base)} has no YAML file and is not laid out as class_name/image.png with at least 2 classes; "
        f"{_found(part)}"
    )


def _masks_in(part: Path, base: Path) -> list[tuple[str, str]]:
    """Return location and mask of each image below `images/` whose name a file below `masks/` has too."""
    folders = {path.name.casefold(): path for path in _entries(part) if path.is_dir()}
    image_folder = next((folders[name] for name in IMAGE_FOLDERS if name in folders), None)
    mask_folder = next((folders[name] for name in MASK_FOLDERS if name in folders), None)
    if image_folder is None or mask_folder is None:
        raise InvalidInput(
            f"{_shown(part, base)} has no YAML file and is not laid out as images/ and masks/; {_found(part)}"
        )
    images = _by_stem(_images(image_folder, base), image_folder.relative_to(base))
    masks = _by_stem(_images(mask_folder, base), mask_folder.relative_to(base))
    pairs = {stem: next((stem + ending for ending in MASK_ENDINGS if stem + ending in masks), None) for stem in images}
    _complain([images[stem] for stem, mask in pairs.items() if mask is None], "no mask of the same name")
    _complain([masks[stem] for stem in masks if stem not in set(pairs.values())], "no image of the same name")
    if not images:
        raise InvalidInput(f"{_shown(image_folder, base)} has no image; {_found(image_folder)}")
    return [(images[stem], masks[mask]) for stem, mask in pairs.items() if mask is not None]


def _by_stem(locations: Iterable[str], folder: Path) -> dict[str, str]:
    """Return locations by their path below the folder without what follows the first dot of the name."""
    found: dict[str, str] = {}
    for location in locations:
        path = PurePosixPath(location).relative_to(folder)
        stem = (path.parent / _stem(path.name)).as_posix()
        if stem in found:
            raise InvalidInput(
                f"{shorten(found[stem])} and {shorten(location)} have one name, by which masks are found."
            )
        found[stem] = location
    return found


def _stem(file_name: str) -> str:
    stem = PurePosixPath(file_name).stem
    return PurePosixPath(stem).stem if stem.lower().endswith(".nii") else stem


def _complain(locations: Sequence[str], fault: str) -> None:
    if locations:
        shown = ", ".join(shorten(location) for location in locations[:MOST_NAMED])
        more = f" and {len(locations) - MOST_NAMED} more" if len(locations) > MOST_NAMED else ""
        verb = "have" if len(locations) > 1 else "has"
        raise InvalidInput(f"{shown}{more} {verb} {fault}.")


def _images(folder: Path, base: Path) -> list[str]:
    """Return the locations, relative to the base, of all images below a folder, in the order of their names."""
    found = []
    _refuse_link(folder, base)
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            _refuse_link(Path(place, name), base)
        for name in sorted(files):
            if not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
                found.append(_text_of(Path(place, name).relative_to(base)))
        _refuse_more_than(MOST_FILES, found)
    return found


def _refuse_link(folder: Path, base: Path) -> None:
    """Refuse a link to a folder: it may lead in a circle, and leaving its images out without a word would be worse."""
    if folder.is_symlink():
        shown = folder.relative_to(base).as_posix()
        raise InvalidInput(f"{shorten(shown)} is a link to a folder, which is not followed; use a YAML file for links.")


def _text_of(location: Path) -> str:
    text = location.as_posix()
    if not text.isprintable():
        raise InvalidInput(f"The file name {shorten(text)} cannot be written in UTF-8 text; rename the file.")
    return text


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden, in the order of the names."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise InvalidInput(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error


def _shown(part: Path, base: Path) -> str:
    return "The folder" if part == base else f"The folder {part.relative_to(base).as_posix()!r}"


def _found(folder: Path) -> str:
    names = [path.name + "/" * path.is_dir() for path in _entries(folder)]
    return names_shown(names) if names else "it is empty."
