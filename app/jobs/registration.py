"""Datasets enter the registry: read, checked, copied, then recorded."""

import logging
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from app.datasets.checks import check_for_task
from app.datasets.description import Description
from app.datasets.places import inside_roots, resolve
from app.datasets.probe import probe
from app.datasets.yaml_format import is_file_in, read
from app.errors import InvalidInput, NotFound, TooLarge
from app.files import write_atomically
from app.jobs.request_checks import fault_of
from app.jobs.services import Services

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


def register_dataset(services: Services, name: str, task_id: int, path: str) -> dict:
    """Register a dataset by the URL or the path of its YAML file and return its record.

    Raises:
        InvalidInput: for an unknown task, an unreachable or forbidden place, or a description that cannot be used;
            nothing is stored then.
    """
    text, folder = _read_source(services, path)
    description = _checked(services, text, path, folder, task_id)
    dataset_id = services.database.datasets.reserve_id()
    return services.database.datasets.add(
        _stored(services, {"id": dataset_id, "name": name, "task_id": task_id}, text, path, folder, description)
    )


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
    text, folder = path.read_bytes(), path.parent
    description = _checked(services, text, str(path), folder, shipped.task_id)
    identity = {"id": shipped.id, "name": shipped.name, "task_id": shipped.task_id}
    record = _stored(services, identity, text, str(path), folder, description)
    services.database.datasets.add_missing([record])


def _read_source(services: Services, path: str) -> tuple[bytes, Path | str]:
    """Return the description's text and the folder, or base URL, that its locations are relative to."""
    settings = services.settings
    try:
        if urlsplit(path).scheme in ("http", "https"):
            return services.fetch(path, settings.max_description_bytes), path
        found = inside_roots(path, settings.data_roots)
    except InvalidInput as error:
        raise InvalidInput.at("path", error.message) from error
    except ValueError as error:
        raise InvalidInput.at("path", f"path: {path[:80]!r} is neither a URL nor a path.") from error
    if found.stat().st_size > settings.max_description_bytes:
        raise TooLarge(
            f"{found.name} is larger than {settings.max_description_bytes} bytes, the limit of descriptions."
        )
    return found.read_bytes(), found.parent


def _checked(services: Services, text: bytes, path: str, folder: Path | str, task_id: int) -> Description:
    try:
        task = services.database.tasks.get(task_id)
    except NotFound as error:
        raise InvalidInput.at("task_id", error.message) from error
    file_name = Path(urlsplit(path).path).name or "dataset"
    with fault_of("path"):
        description = read(text, file_name, partial(is_file_in, folder))
        check_for_task(description, task["name"].lower(), folder, services.settings.data_roots)
    return description


def _stored(
    services: Services, identity: Mapping, text: bytes, source: str, folder: Path | str, description: Description
) -> dict:
    """Copy the description into the storage and return the record that points to it."""
    own = services.storage.dataset(identity["id"])
    own.mkdir(parents=True, exist_ok=True)
    copy = own / "dataset.yml"
    try:
        with fault_of("path"):
            colour_type = _colour_type(description, folder, services.settings.max_image_pixels)
        write_atomically(copy, text)
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    summary = description.summary()
    return {
        **identity,
        "path": str(copy),
        "source": source,
        "folder": str(folder),
        **summary,
        "colour_type": colour_type,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _colour_type(description: Description, folder: Path | str, max_pixels: int) -> str | None:
    """Return GRAY, RGB or `<n> planes` by the first image; None where it is only known by its URL."""
    sample = description.samples[0]
    if len(sample.location) > 1:
        return f"{len(sample.location)} planes"
    place = resolve(sample.location[0], folder)
    if not isinstance(place, Path):
        return None
    header = probe(place)
    if header.width * header.height > max_pixels:
        raise InvalidInput(
            f"The image {sample.location[0]!r} has {header.width} x {header.height} pixels; {max_pixels} are the limit."
        )
    return "GRAY" if header.channels == 1 else "RGB"


def channels_of(record: Mapping) -> int:
    """Return the depth of the images that a network sees: that of the colour type, RGB where it is not known."""
    colour_type = record["colour_type"] or "RGB"
    return {"GRAY": 1, "RGB": 3}.get(colour_type) or int(colour_type.split()[0])
