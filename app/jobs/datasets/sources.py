"""Where datasets come from: a URL, a file or folder in the data roots, or an upload."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from app.datasets.places import inside_roots, is_url
from app.datasets.sources import archives
from app.datasets.sources.archives import Limits
from app.datasets.sources.folders import find_base, find_description
from app.datasets.sources.layouts import describe
from app.datasets.yaml_format.other_files import refuse_other_kinds
from app.datasets.yaml_format.reading import read
from app.datasets.yaml_format.writing import write
from app.errors import InvalidInput, TooLarge
from app.jobs.services import Services
from app.settings import Settings

FILES = "files"
OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """The text of a description, and what its locations start from.

    Attributes:
        text: the YAML text; written by us where there was none.
        file_name: what the description's faults are reported under.
        folder: what relative locations are relative to, a folder or a URL.
        origin: where it came from, as the user named it.
    """

    text: bytes
    file_name: str
    folder: Path | str
    origin: str


@dataclass(frozen=True)
class Wanted:
    """What a user wants to register: the name to give it and the task it is for."""

    name: str
    task_name: str


def read_path(path: str, wanted: Wanted, services: Services) -> Source:
    """Read the description that a URL or a path leads to; a path may lead to a folder.

    Raises:
        InvalidInput: for a place that cannot or may not be read.
        TooLarge: for a description over the limit.
    """
    try:
        if urlsplit(path).scheme in ("http", "https"):
            return _read_url(path, services)
    except ValueError as error:
        raise InvalidInput(f"{path[:80]!r} is neither a URL nor a path.") from error
    if OTHER_SCHEME.match(path):
        raise InvalidInput(f"{path[:200]!r} is neither a path nor a URL that begins with http:// or https://.")
    settings = services.settings
    found = inside_roots(path, settings.data_roots, allow_folder=True)
    if found.is_dir():
        return read_folder(found, path, wanted, settings)
    text = _limited(found, settings)
    refuse_other_kinds(found.name, text)
    return Source(text, found.name, found.parent, path)


def read_folder(folder: Path, origin: str, wanted: Wanted, settings: Settings) -> Source:
    """Read the one description in a folder, or write one by how the folder is laid out.

    Raises:
        InvalidInput: if there are several, or none and no layout that is known.
    """
    base = find_base(folder)
    found = find_description(base)
    if found is not None:
        if found.is_symlink():
            inside_roots(str(found), settings.data_roots)
        return Source(_limited(found, settings), found.name, found.parent, origin)
    text = write(describe(base, wanted.task_name, wanted.name)).encode()
    return Source(text, Path(origin).name or "dataset", base, origin)


def read_upload(file_name: str, stream: BinaryIO, draft: Path, wanted: Wanted, settings: Settings) -> Source:
    """Read an uploaded YAML file, or unpack an archive with images into the draft of the dataset's folder.

    Raises:
        InvalidInput: for an archive that cannot be trusted, or a YAML file that names images it did not bring.
        TooLarge: for more than the limits of the settings.
    """
    files = draft / FILES
    files.mkdir()
    kind = archives.kind_of(stream)
    if kind is None:
        return _read_uploaded_text(file_name, stream, files, settings)
    limits = Limits(settings.max_archive_bytes, settings.max_archive_files, settings.max_archive_ratio)
    archives.extract(stream, kind, files, limits)
    return read_folder(files, file_name, wanted, settings)


def _read_url(url: str, services: Services) -> Source:
    text = services.fetch(url, services.settings.max_description_bytes)
    return Source(text, Path(urlsplit(url).path).name or "dataset", url, url)


def _read_uploaded_text(file_name: str, stream: BinaryIO, files: Path, settings: Settings) -> Source:
    text = stream.read(settings.max_description_bytes + 1)
    _check_size(len(text), file_name, settings)
    refuse_other_kinds(file_name, text)
    description = read(text, file_name)
    for sample in description.samples:
        for location in (*sample.location, *filter(None, [sample.mask])):
            if not is_url(location) and not location.startswith("/"):
                raise InvalidInput(
                    f"{file_name} names images beside itself, such as {location[:80]!r}, but came alone; "
                    "send a zip or tar.gz archive with the images and the YAML file."
                )
    return Source(text, file_name, files, file_name)


def _limited(path: Path, settings: Settings) -> bytes:
    try:
        _check_size(path.stat().st_size, path.name, settings)
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path.name!r} cannot be read: {error.strerror}.") from error


def _check_size(size: int, name: str, settings: Settings) -> None:
    if size > settings.max_description_bytes:
        raise TooLarge(
            f"{name} has more than {settings.max_description_bytes:,} bytes, the most of a dataset file "
            "(the setting MAX_DESCRIPTION_BYTES)."
        )
