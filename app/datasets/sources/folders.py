"""Look through a user's folder for images and descriptions: in the order that people count in, and without links."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.datasets.formats.kinds import NIFTI_SUFFIXES, is_marked_as_dicom
from app.datasets.problems import names_shown, shorten
from app.datasets.yaml_format.samples import IMAGE_SUFFIXES
from app.errors import InvalidInput, TooLarge

MOST_FILES = 300_000
DESCRIPTION_SUFFIXES = (".yml", ".yaml")
IMAGE_LIST = re.compile(rb"^images[ \t]*:", re.MULTILINE)
HEAD_BYTES = 1024**2
HIDDEN = (".", "__MACOSX")
DIGITS = re.compile(r"([0-9]+)")


def find_base(folder: Path) -> Path:
    """Return the folder where a dataset begins: the first with images, a description or several folders in it."""
    while True:
        found = entries(folder)
        folders = [path for path in found if path.is_dir()]
        has_files = any(path.is_file() and _begins_dataset(path) for path in found)
        if len(folders) != 1 or has_files or folders[0].is_symlink():
            return folder
        folder = folders[0]


def find_description(base: Path) -> Path | None:
    """Return the one YAML file of a folder, or the one below it that lists images; None if there is none.

    Raises:
        InvalidInput: naming them, if there are several.
    """
    found = [path for path in entries(base) if is_description(path.name) and path.is_file()]
    if not found:
        below = [place / name for place, names in _files_below(base) for name in names if is_description(name)]
        found = [path for path in below if path.is_file() and _lists_images(path)]
    if len(found) > 1:
        names = ", ".join(path.relative_to(base).as_posix() for path in found[:10])
        raise InvalidInput(f"The folder has {len(found)} YAML files, {names}; one is expected.")
    return found[0] if found else None


def images_below(folder: Path, base: Path) -> list[str]:
    """Return the locations, relative to the base, of all images below a folder, in the order of their names.

    Raises:
        InvalidInput: for a link to a folder, or a name that no text can hold.
        TooLarge: for more than a description should list.
    """
    found: list[str] = []
    refuse_link(folder, base)
    for place, names in _files_below(folder, refuse_links_from=base):
        start = "" if place == base else f"{place.relative_to(base).as_posix()}/"
        for name in names:
            if is_image(name, place):
                found.append(_text_of(start + name))
                if not os.path.isfile(f"{place}/{name}"):  # noqa: PTH113 - a Path for each of 100,000 takes seconds
                    fault = "is a link to nothing, a pipe or a device; remove it"  # to open a pipe would never end
                    raise InvalidInput(f"{shorten(found[-1])} {fault}.")
        refuse_more_than(MOST_FILES, found)
    return found


def holds_images(folder: Path) -> bool:
    return any(is_image(name, place) for place, names in _files_below(folder) for name in names)


def _files_below(folder: Path, refuse_links_from: Path | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with the names of its files that are not hidden; links to folders are left out, or refused."""
    for place_text, folders, files in os.walk(folder):
        place = Path(place_text)
        folders[:] = sorted((name for name in folders if not name.startswith(HIDDEN)), key=natural_order)
        if refuse_links_from is not None:
            for name in folders:
                refuse_link(place / name, refuse_links_from)
        yield place, sorted((name for name in files if not name.startswith(HIDDEN)), key=natural_order)


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden, in the order of the names."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(HIDDEN)]
    except OSError as error:
        raise InvalidInput(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error
    return sorted(found, key=lambda path: natural_order(path.name))


def natural_order(name: str) -> tuple:
    """Return what names are sorted by, so that `grade 2` comes before `grade 10`."""
    parts = DIGITS.split(name.casefold())
    return (*(int(part) if place % 2 else part for place, part in enumerate(parts)), name)


def is_image(name: str, folder: Path) -> bool:
    """Judge a file by its name; one that tells nothing, as scanners write, makes a look into the file necessary."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of 100,000 takes seconds
    if suffix == ".gz":
        return name.lower().endswith(NIFTI_SUFFIXES)
    if suffix in IMAGE_SUFFIXES:
        return True
    return not suffix[1:].isalpha() and (folder / name).is_file() and is_marked_as_dicom(folder / name)


def is_description(name: str) -> bool:
    return name.lower().endswith(DESCRIPTION_SUFFIXES)


def refuse_link(folder: Path, base: Path) -> None:
    """Refuse a link to a folder: it may lead in a circle, and leaving its images out without a word would be worse."""
    if folder.is_symlink():
        shown = folder.relative_to(base).as_posix()
        raise InvalidInput(f"{shorten(shown)} is a link to a folder, which is not followed; use a YAML file for links.")


def refuse_more_than(most: int, found: Sequence) -> None:
    if len(found) > most:
        raise TooLarge(f"The folder has more than {most:,} images; describe the dataset by a YAML file.")


def named(locations: Sequence[str]) -> str:
    """Return the first few of some locations, and how many more there are."""
    more = f" and {len(locations) - 3} more" if len(locations) > 3 else ""
    return ", ".join(shorten(location) for location in locations[:3]) + more


def content_shown(folder: Path) -> str:
    """Return the end of a sentence that tells what is in a folder."""
    names = [path.name + "/" * path.is_dir() for path in entries(folder)]
    return names_shown(names) if names else "it is empty."


def stem_of(location: str) -> str:
    """Return a location without the suffix of its kind; `.nii.gz` is one."""
    folder, slash, name = location.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return folder + slash + (stem[: -len(".nii")] if stem.lower().endswith(".nii") else stem)


def _begins_dataset(path: Path) -> bool:
    return is_description(path.name) or is_image(path.name, path.parent)


def _lists_images(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return IMAGE_LIST.search(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def _text_of(location: str) -> str:
    if not location.isprintable():
        raise InvalidInput(f"The file name {shorten(location)} cannot be written as text; rename the file.")
    return location
