"""Datasets enter the registry: read, checked, copied, then recorded."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from app.datasets.checks import check_for_task
from app.datasets.description import Description
from app.datasets.places import resolve
from app.datasets.probe import probe
from app.datasets.volumes import with_slices
from app.datasets.yaml_format.reading import is_file_in, read
from app.datasets.yaml_format.writing import write
from app.errors import DatasetError, InvalidInput, QueueUnavailable, StorageUnavailable
from app.files import sync_disk, unavailable, write_atomically
from app.jobs.datasets.checking import start_check
from app.jobs.datasets.sources import Source, Wanted, read_path, read_upload
from app.jobs.drafts import draft_folder, give_place
from app.jobs.removal.going import taken_back_unless_stored
from app.jobs.request_checks import referenced
from app.jobs.services import Services

MOST_PROBED = 5

log = logging.getLogger(__name__)


class Shipped(NamedTuple):
    """A dataset that the installation makes; `path` is relative to the data root it was made in."""

    id: int
    name: str
    task_id: int
    path: str


SHIPPED = (
    Shipped(1, "Digits", 1, "digits/digits.yml"),
    Shipped(2, "Nuclei", 2, "nuclei/nuclei.yml"),
)


@dataclass(frozen=True)
class UploadedFile:
    """A file that came with a request: a YAML file or an archive."""

    name: str
    stream: BinaryIO


def register_dataset(
    services: Services,
    name: str,
    task_id: int,
    place: str | UploadedFile,
    colour_type: str | None = None,
) -> dict:
    """Register a dataset and return its record; its check is started.

    Args:
        services: the opened service.
        name: what users call it.
        task_id: the task that it is for.
        place: the URL of a YAML file, the path of one or of a folder, or an uploaded YAML file or archive.
        colour_type: `GRAY` or `RGB`; None leaves it to the first image.

    Raises:
        InvalidInput: for an unknown task, a forbidden place, or a description that cannot be used; nothing is stored
            then.
        TooLarge: for a place that holds more than the limits of the settings.
    """
    wanted = Wanted(name, _task_name(services, task_id))
    with draft_folder(services.storage.dataset_drafts) as draft:
        with _faults_at("path" if isinstance(place, str) else "file"):
            source = _read(services, place, draft, wanted)
            source, description = _checked(services, source, draft, wanted.task_name)
        entry = {
            "name": name,
            "task_id": task_id,
            "source": source.origin,
            "colour_type": colour_type or _colour_type(description, source.folder),
        }
        return store(services, draft, entry, source, description)


def register_shipped(services: Services) -> None:
    """Register the datasets that the installation made, once: one that a user deleted stays deleted."""
    for shipped in SHIPPED:
        found = [root / shipped.path for root in services.settings.data_roots if (root / shipped.path).is_file()]
        if not found or services.database.datasets.was_assigned(shipped.id):
            continue
        try:
            _register_one_shipped(services, shipped, found[0])
        except InvalidInput as error:
            log.warning("The dataset %s is left out until the next start: %s", shipped.name, error.message)


def _register_one_shipped(services: Services, shipped: Shipped, path: Path) -> None:
    source = Source(path.read_bytes(), path.name, path.parent, str(path))
    source, description = _checked(services, source, None, _task_name(services, shipped.task_id))
    services.storage.dataset(shipped.id).mkdir(parents=True, exist_ok=True)
    write_atomically(services.storage.description(shipped.id), source.text)
    entry = {
        "id": shipped.id,
        "name": shipped.name,
        "task_id": shipped.task_id,
        "source": source.origin,
        "colour_type": _colour_type(description, source.folder),
    }
    services.database.datasets.add_missing([_record(services, entry, source.folder, description)])


def store(services: Services, draft: Path, entry: Mapping, source: Source, description: Description) -> dict:
    """Turn the draft into the folder of a new dataset, record it and start its check; return the record."""
    datasets = services.database.datasets
    write_atomically(draft / "dataset.yml", source.text)
    dataset_id = datasets.reserve_id()
    final = services.storage.dataset(dataset_id)
    folder = source.folder
    if isinstance(folder, Path) and folder.is_relative_to(draft):
        folder = final / folder.relative_to(draft)
        sync_disk(draft)  # what was unpacked is not to be lost by a power cut once it is acknowledged
    try:
        with services.database.holding_references():
            if entry.get("version_of") is not None:
                datasets.get(entry["version_of"])  # its files are this one's too: it must not be deleted meanwhile
            with taken_back_unless_stored(services, "datasets", dataset_id, final):
                give_place(draft, final)
                record = datasets.add(_record(services, {**entry, "id": dataset_id}, folder, description))
    except OSError as error:
        raise unavailable(final, "written", error) from error
    # The dataset is stored, whatever becomes of its check; whoever asks for the report starts that then.
    with suppress(QueueUnavailable, StorageUnavailable, InvalidInput):  # the last one if it is deleted already
        start_check(services, record)
    return next(iter(datasets.find(id=dataset_id)), record)


def _read(services: Services, place: str | UploadedFile, draft: Path, wanted: Wanted) -> Source:
    if isinstance(place, str):
        return read_path(place, wanted, services)
    return read_upload(place.name, place.stream, draft, wanted, services.settings)


def _task_name(services: Services, task_id: int) -> str:
    return referenced(services.database.tasks, {"task_id": task_id}, "task_id")["name"].lower()


@contextmanager
def _faults_at(field: str) -> Iterator[None]:
    """Lay faults at a field of the request; those of a description are told by their lines."""
    try:
        yield
    except DatasetError:
        raise
    except InvalidInput as error:
        raise InvalidInput.at(field, error.message) from error


def _checked(services: Services, source: Source, draft: Path | None, task_name: str) -> tuple[Source, Description]:
    """Read the description, check it and cut its volumes; what it names lies in the data roots, or came with it."""
    description = read(source.text, source.file_name, partial(is_file_in, source.folder))
    roots = (*services.settings.data_roots, *filter(None, [draft]))
    check_for_task(description, task_name, source.folder, roots, source.file_name)
    cut = with_slices(description, source.folder, source.file_name)
    return (source, description) if cut is description else (replace(source, text=write(cut).encode()), cut)


def _record(services: Services, entry: Mapping, folder: Path | str, description: Description) -> dict:
    return {
        "version_of": None,
        "split_settings": None,
        **entry,
        "path": str(services.storage.description(entry["id"])),
        "folder": str(folder),
        **description.summary(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _colour_type(description: Description, folder: Path | str) -> str | None:
    """Return GRAY, RGB or `<n> planes` by the first image that can be read; None where that is only known later."""
    for index in islice(description.used_indexes(), MOST_PROBED):
        sample = description.samples[index]
        if len(sample.location) > 1:
            return f"{len(sample.location)} planes"
        place = resolve(sample.location[0], folder)
        if not isinstance(place, Path):
            return None
        with suppress(InvalidInput):  # the report names the file
            channels = probe(place).channels
            return {1: "GRAY", 3: "RGB"}.get(channels, f"{channels} planes")  # the pages of a TIFF are planes
    return None


def channels_of(record: Mapping) -> int:
    """Return the depth of the images that a network sees: that of the colour type, RGB where it is not known."""
    colour_type = record["colour_type"] or "RGB"
    return {"GRAY": 1, "RGB": 3}.get(colour_type) or int(colour_type.split()[0])
