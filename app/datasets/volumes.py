"""Take whole volumes apart: where a description names a NIfTI file as a whole, each of its slices is a sample.

Networks see one picture at a time, and nobody writes 500 lines for a scan. Headers alone are read, as this is for the
web process, too.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.datasets.description import Description, Sample
from app.datasets.formats.kinds import KEYS, NIFTI_SUFFIXES
from app.datasets.formats.nifti_header import volume_shape
from app.datasets.formats.parts import Part
from app.datasets.places import resolve, split_part, split_text
from app.datasets.problems import Problems, shorten
from app.errors import InvalidInput, JobFailure, TooLarge

VOLUME = "volume"  # the feature that keeps the slices of one together
LAST_AXIS = 2
MOST_SLICES = 100_000


def with_slices(description: Description, folder: Path | str, file_name: str) -> Description:
    """Return the description with the slices of each whole volume in its place, in the same split.

    Args:
        description: as the user wrote it; one without whole volumes is returned as it is.
        folder: what relative locations are relative to, a folder or a URL; what is behind a URL is not looked at.
        file_name: what the problems are reported under.

    Raises:
        DatasetError: with all volumes that do not fit their masks, or cannot be read; those in no split do no harm.
        TooLarge: for more slices than a description should list.
    """
    feature = VOLUME if VOLUME not in description.features else f"{VOLUME} file"
    used = set(description.used_indexes())
    problems = Problems(file_name)
    samples: list[Sample] = []
    new_indexes: list[range] = []
    for index, sample in enumerate(description.samples):
        start = len(samples)
        try:
            samples += slices_of(sample, folder, feature)
        except (InvalidInput, JobFailure) as error:
            samples.append(sample)
            if index in used:
                problems.add(f"images[{index}]", f"cannot be used: {error.message}", description.line_of(index))
        new_indexes.append(range(start, len(samples)))
        if len(samples) > len(description.samples) + MOST_SLICES:
            raise TooLarge(f"{file_name}: the volumes have more than {MOST_SLICES:,} slices, the most in one dataset.")
    if len(samples) == len(description.samples):
        problems.raise_if_any()
        return description
    _refuse_repeated(description, samples, new_indexes, problems)
    problems.raise_if_any()
    splits = {name: _all_of(new_indexes, indexes) for name, indexes in description.splits.items()}
    features = (*description.features, feature)
    return replace(description, features=features, samples=tuple(samples), splits=splits, lines=())


def slices_of(sample: Sample, folder: Path | str, feature: str = VOLUME) -> list[Sample]:
    """Return the samples that a sample stands for: one for each slice of its volumes; itself if it is one picture.

    Planes that are volumes are cut alike. Planes that are pictures, with a mask that is a volume, are the slices of one
    scan: the first plane goes with slice 0 of the mask.

    Raises:
        InvalidInput: if the mask or a plane has another number of slices, or a file cannot be read.
        JobFailure: for a part that no volume has.
        TooLarge: for a volume that says it has more slices than a description should list.
    """
    shown, count = shorten(sample.location[0]), _slice_count(sample.location[0], folder)
    for plane in sample.location[1:]:
        _compare(shown, count, f"its plane {shorten(plane)}", _slice_count(plane, folder), "planes are cut alike")
    mask_count = count if sample.mask is None else _slice_count(sample.mask, folder)
    is_stack = count == 1 and mask_count > 1 and len(sample.location) > 1
    if is_stack:
        shown, count = f"the stack that begins with {shown}", len(sample.location)
    if sample.mask is not None:
        rule = "a mask has a slice for each of its volume's"
        _compare(shown, count, f"its mask {shorten(sample.mask)}", mask_count, rule)
    if count == 1:
        return [sample]
    return list(_cut(sample, count, feature, is_stack=is_stack))


def _cut(sample: Sample, count: int, feature: str, *, is_stack: bool) -> Iterator[Sample]:
    values = {**sample.values, feature: sample.location[0]}
    for index in range(count):
        planes = sample.location[index : index + 1] if is_stack else [_named(place, index) for place in sample.location]
        mask = None if sample.mask is None else _named(sample.mask, index)
        yield Sample(tuple(planes), sample.classes, mask, values)


def _named(location: str, index: int) -> str:
    return f"{location}{'&' if split_text(location)[1] else '#'}slice={index}"


def _slice_count(location: str, folder: Path | str) -> int:
    """Return the number of slices of a volume that is named as a whole; 1 for all else, and behind a URL."""
    place = resolve(location, folder)
    if isinstance(place, str):
        return 1
    path, text = split_part(place)
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        return 1
    part = Part(path, text, KEYS["nifti"])
    if "slice" in part:
        return 1
    shape = volume_shape(path, shorten(location))
    if (volumes := math.prod(shape[3:])) > 1 and "volume" not in part:
        advice = "name those that are images in a YAML file, as name.nii.gz#volume=0"
        raise InvalidInput(f"{shorten(location)} holds {volumes} volumes; {advice}.")
    count = shape[part.index("axis", 3, default=LAST_AXIS)]
    if count > MOST_SLICES:
        raise TooLarge(f"{shorten(location)} has {count:,} slices, more than the {MOST_SLICES:,} of a dataset.")
    return count


def _compare(shown: str, count: int, other: str, own: int, rule: str) -> None:
    if own != count:
        raise InvalidInput(f"{shown} has {_slices(count)} and {other} {_slices(own)}; {rule}.")


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"


def _refuse_repeated(
    description: Description, samples: list[Sample], new_indexes: list[range], problems: Problems
) -> None:
    first: dict[tuple[str, ...], int] = {}
    for index, members in enumerate(new_indexes):
        for sample in samples[members.start : members.stop]:
            earlier = first.setdefault(sample.location, index)
            if earlier != index:
                fault = (
                    f"shows {shorten(', '.join(sample.location))}, as images[{earlier}] does; each slice stands once."
                )
                problems.add(f"images[{index}]", fault, description.line_of(index))
                break


def _all_of(new_indexes: list[range], indexes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(new for index in indexes for new in new_indexes[index])
