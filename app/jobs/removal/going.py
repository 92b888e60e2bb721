"""Records and their folders come and go together, also where the web process is killed between the two."""

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import orjson

from app.errors import StorageDamaged, StorageUnavailable
from app.files import read_object, unavailable
from app.jobs.processes.submission import forget
from app.jobs.services import Services

# What refers to a record goes before it.
KINDS = ("inferences", "weights", "datasets", "projects")
OWN_FOLDER = re.compile(r"(weights|datasets|runs)/[0-9a-f-]+")
SHOWN_IN_PROJECTS = {"modelweights_id": "weights", "inference_id": "inferences"}


class Note(TypedDict):
    """What a note holds, see `Going`."""

    ids: dict[str, list[int]]
    folders: list[str]
    is_new: bool


@dataclass(frozen=True)
class Going:
    """Records and folders that are to go, and the note of them by which the next start finishes what was killed.

    Attributes:
        note: the file.
        ids: of the records by kind, each in the order in which they go.
        folders: the service's own, relative to the storage folder.
        is_new: whether they are to go only if the records were never stored.
    """

    note: Path
    ids: Mapping[str, Sequence[int]]
    folders: Sequence[str]
    is_new: bool = False

    def is_to_stay(self, services: Services) -> bool:
        """Tell whether this was stored after all: the note may come back by a power cut, long after it was removed."""
        database = services.database
        return self.is_new and any(
            getattr(database, kind).find(id=found) for kind in self.ids for found in self.ids[kind]
        )

    def delete_records(self, services: Services) -> None:
        """Delete the records, and where projects show them; the caller holds the references."""
        database = services.database
        for field, kind in SHOWN_IN_PROJECTS.items():
            for project in (
                found for lost in self.ids.get(kind, ()) for found in database.projects.find(**{field: lost})
            ):
                database.projects.update(project["id"], **{field: None})
        for kind in KINDS:
            for record_id in self.ids.get(kind, ()):
                forget(getattr(database, kind), record_id)

    def remove_folders(self, services: Services) -> None:
        """Remove the folders, and then the note."""
        for folder in self.folders:
            shutil.rmtree(services.storage.root / folder, ignore_errors=True)
        self.note.unlink(missing_ok=True)


def delete_noted(services: Services, ids: Mapping[str, Iterable[int]], folders: Iterable[Path]) -> Going:
    """Note what goes and delete the records; the caller holds the references, and removes the folders after that.

    Raises:
        StorageUnavailable: when something cannot be written.
    """
    leaving = _noted(services, ids, folders)
    try:
        leaving.delete_records(services)
    except BaseException:
        leaving.note.unlink(missing_ok=True)
        raise
    return leaving


@contextmanager
def taken_back_unless_stored(services: Services, kind: str, record_id: int, folder: Path) -> Iterator[None]:
    """Put a folder in its place and store its record in this block; the caller holds the references.

    If the block fails, or its process is killed before the record is stored, neither of them stays.
    """
    coming = _noted(services, {kind: [record_id]}, [folder], is_new=True)
    try:
        yield
    except BaseException:
        coming.remove_folders(services)
        raise
    coming.note.unlink(missing_ok=True)


def finish(services: Services) -> None:
    """Let all go that killed processes have noted; what cannot be read or written now stays for another start."""
    for note in services.storage.going.iterdir():
        # Whoever deletes or stores at this moment holds the references.
        with suppress(FileNotFoundError, StorageUnavailable), services.database.holding_references():
            left = _read(note)
            if left is None or left.is_to_stay(services):
                note.unlink()
                continue
            left.delete_records(services)
            left.remove_folders(services)


def _read(note: Path) -> Going | None:
    """Return what a note says; None if its writer was killed in writing it, before anything else, or it is no note."""
    with suppress(StorageDamaged):
        noted = read_object(note, Note)
        if all(map(OWN_FOLDER.fullmatch, noted["folders"])) and noted["ids"].keys() <= set(KINDS):
            return Going(note, noted["ids"], noted["folders"], noted["is_new"])
    return None


def _noted(
    services: Services, ids: Mapping[str, Iterable[int]], folders: Iterable[Path], *, is_new: bool = False
) -> Going:
    storage = services.storage
    places = [str(folder.relative_to(storage.root)) for folder in folders]
    found = {kind: list(numbers) for kind, numbers in ids.items()}
    noted = Going(storage.going / secrets.token_hex(8), found, places, is_new)
    try:
        # Not waited for until it is on the disk: after a power cut, `dht verify-storage` tells what is left.
        noted.note.write_bytes(orjson.dumps({"ids": found, "folders": places, "is_new": is_new}))
    except OSError as error:
        noted.note.unlink(missing_ok=True)
        raise unavailable(noted.note, "written", error) from error
    return noted
