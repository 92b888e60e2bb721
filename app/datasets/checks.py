"""Say whether a dataset fits a task, before anything is stored or trained."""

import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from app.datasets.description import Description
from app.datasets.places import PlaceCheck, file_of, is_folder, resolve
from app.datasets.problems import Problems, nearest, shorten

CLASSIFICATION = "classification"
SEGMENTATION = "segmentation"
MOST_NAMED = 5
Place = tuple[int | None, str, str]  # the line of its sample, the key and the location
MOST_MASK_CLASSES = 256  # a mask has 8 bits


def check_for_task(
    description: Description,
    task_name: str,
    folder: Path | str,
    roots: Sequence[Path] | None = None,
    subject: str = "dataset",
) -> None:
    """Check that labels have the task's form and that every local file is there.

    Judges the samples that are in a split; all of them if the dataset is not split. Of the others it is only checked
    that they lie where they may: the report looks at them, too.

    Args:
        folder: what relative locations are relative to, a folder or a URL; what is behind a URL is not looked at.
        roots: folders that the files have to lie in; `None` lets them lie anywhere.
        subject: what the problems are reported under, such as the name of the description's file.

    Raises:
        DatasetError: with all problems.
    """
    problems = Problems(subject)
    used_indexes = set(description.used_indexes())
    _check_label_form(description, sorted(used_indexes), task_name, problems)
    _check_files(description, used_indexes, folder, roots, problems)
    problems.raise_if_any()


def check_trainable(description: Description, task_name: str) -> None:
    """Check that a network can be trained on the dataset: a training split, all of it labelled in the task's form.

    Raises:
        DatasetError: with all problems.
    """
    problems = Problems(description.name or "dataset")
    _check_split(description, "training", problems)
    _check_split_labels(description, "training", problems)
    members = [*description.split("training"), *description.split("validation")]
    _check_label_form(description, members, task_name, problems)
    if task_name.casefold() == CLASSIFICATION:
        fewest = 1 if description.is_multi_label else 2
        if len(description.classes) < fewest:
            fault = f"has {len(description.classes)} names; classification needs at least {fewest}"
            hint = ", or images without the one, labelled []" if description.classes else ""
            problems.add("classes", f"{fault}{hint}.")
    elif len(description.classes) > MOST_MASK_CLASSES:
        problems.add("classes", f"has {len(description.classes)} names; a mask can tell {MOST_MASK_CLASSES} apart.")
    problems.raise_if_any()


def check_has_split(description: Description, split_name: str) -> None:
    """Check that the dataset has images in a split.

    Raises:
        DatasetError: naming the splits that there are.
    """
    problems = Problems(description.name or "dataset")
    _check_split(description, split_name, problems)
    problems.raise_if_any()


def inference_indexes(description: Description) -> Sequence[int]:
    """Return the samples that an inference covers: the test split, or every sample of a dataset without splits.

    Raises:
        DatasetError: if the dataset has splits, but none named `test` with images in it.
    """
    if not description.splits:
        return range(len(description.samples))
    check_has_split(description, "test")
    return description.split("test")


def _check_split(description: Description, split_name: str, problems: Problems) -> None:
    key = f"split.{split_name}"
    if split_name not in description.splits:
        hint = nearest(split_name, description.splits) if description.splits else "the dataset has no splits."
        problems.add(key, f"is missing; {hint}")
    elif not description.split(split_name):
        problems.add(key, "has no image; list at least one index.")


def _check_split_labels(description: Description, split_name: str, problems: Problems) -> None:
    if description.split(split_name) and not description.has_labels(split_name):
        problems.add(f"split.{split_name}", "has images without a label; each needs one to be learned from.")


def _check_label_form(description: Description, members: Sequence[int], task_name: str, problems: Problems) -> None:
    samples = description.samples
    if task_name.casefold() == CLASSIFICATION:
        wrong = [index for index in members if samples[index].mask is not None]
        fault = "a mask as its label, but classification needs a class"
    else:
        wrong = [index for index in members if samples[index].classes is not None]
        fault = "a class as its label, but segmentation needs a mask"
    if wrong:
        first = shorten(samples[wrong[0]].location[0])
        told = f"is wrong: {first} has {fault}{_how_many(wrong)}."
        problems.add(f"images[{wrong[0]}].label", told, description.line_of(wrong[0]))


def _how_many(members: Sequence[object]) -> str:
    return f" (the first of {len(members)} such images)" if len(members) > 1 else ""


def _check_files(
    description: Description, used: Container[int], folder: Path | str, roots: Sequence[Path] | None, problems: Problems
) -> None:
    missing: list[Place] = []
    outside: list[Place] = []
    folders: list[Place] = []
    place_check = None if roots is None else PlaceCheck(roots)
    for index, key, location in _locations(description):
        place = resolve(location, folder)
        if isinstance(place, str):
            continue
        path = file_of(place)
        found = (description.line_of(index), key, location)
        if place_check and not place_check.is_inside(path):
            outside.append(found)
        elif index in used and not _is_file(path):
            (folders if is_folder(path) else missing).append(found)
    _tell(missing, "names a file that does not exist", problems)
    _tell(folders, "names a folder, not an image", problems)
    _tell(outside, "lies outside the folders that are open to datasets", problems)


def _is_file(path: Path) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for names that are too long before Python 3.13
    except ValueError:
        return False


def _locations(description: Description) -> Iterator[tuple[int, str, str]]:
    for index, sample in enumerate(description.samples):
        for location in sample.location:
            yield index, f"images[{index}].location", location
        if sample.mask is not None:
            yield index, f"images[{index}].label", sample.mask


def _tell(found: Sequence[Place], fault: str, problems: Problems) -> None:
    """Name the first few and count the rest: a moved folder is one problem, not ten thousand."""
    for line, key, location in found[:MOST_NAMED]:
        advice = "; folders are separated by / here" if "\\" in location else ""
        problems.add(key, f"{fault}: {shorten(location, 200)}{advice}.", line)
    if len(found) > MOST_NAMED:
        more = len(found) - MOST_NAMED
        told = f"{'have' if more > 1 else 'has'} {more} more such locations: the location {fault}."
        problems.add("images", told, found[MOST_NAMED][0])
