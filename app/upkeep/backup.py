"""Copy a storage folder while it is served, so that records and files in the copy fit each other.

The records are read at one moment, with all writers waiting. Then the files are copied, which takes as long as it
takes: each is replaced as a whole by its writers, and those that belong together are copied in the order that keeps
them so. A state comes before all that its process makes, so that none has ended in the copy without its results. What
was deleted meanwhile, whose files may be gone, is taken out of the records; these are written last.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from app.errors import InvalidInput, StorageUnavailable
from app.files import JSON_FORM, TEMPORARY_SUFFIX, parse_json
from app.forms import fault_in
from app.repositories.database import Database
from app.runs.configs import Card
from app.runs.layout import RunFolder, StorageLayout, WeightsFolder
from app.runs.reader import state_in
from app.upkeep.archive import Archive, writing
from app.upkeep.verify import open_storage
from app.upkeep.weights_files import digest_of

FILED = {"weights": "weights", "datasets": "datasets"}
DELETABLE = ("weights", "datasets", "inferences", "projects")
LATEST = {"modelweights_id": "weights", "inference_id": "inferences"}
SECONDS_FOR_A_CARD = 5.0
OTHERS = ("audit.log*", "weights/pretrained/*")


@dataclass(frozen=True)
class Snapshot:
    """What there was at the moment of the backup.

    Attributes:
        parts: the content of each file of records, by its place below the storage folder.
        ids: of the records of each table.
        runs: the run folders.
    """

    parts: dict[str, tuple[str, bytes]]
    ids: dict[str, set[int]]
    runs: list[RunFolder]


def back_up(root: Path, target: Path) -> int:
    """Write a backup of the storage folder and return the number of its files.

    Raises:
        NotFound: if this is no storage folder.
        InvalidInput: if the backup would lie in what it is of.
        StorageUnavailable: if it cannot be written, or a file of records cannot be read; there is no file then.
    """
    if target.resolve().is_relative_to(root.resolve()):
        raise InvalidInput(f"{target} lies in the storage folder itself; write the backup somewhere else.")
    storage, database = open_storage(root)
    with writing(target) as archive:
        snapshot = _snapshot(storage, database)
        archive.add_folder(storage.unfinished.name)
        gone = [run.path.name for run in snapshot.runs if not _is_added(archive, root, run)]
        for name in ("weights", "datasets"):
            for record_id in sorted(snapshot.ids[name]):
                _add_folder_of(archive, storage, name, record_id)
        for path in sorted(path for pattern in OTHERS for path in root.glob(pattern) if path.is_file()):
            archive.add_file(str(path.relative_to(root)), path)
        # Files go after their records: what lacks a run now is among the records that are lost.
        gone += [run.path.name for run in snapshot.runs if not run.path.exists()]
        lost = _deleted_since(database, snapshot)
        for place, (name, content) in snapshot.parts.items():
            archive.add_bytes(place, _without(name, content, lost))
        left_out = [f"{name}/{record_id}" for name in FILED for record_id in sorted(lost[name])]
        left_out += [f"{folder}/{name}" for name in gone for folder in ("runs", "unfinished")]
        archive.finish({"storage_dir": str(root), "made_at": _now(), "left_out": left_out})
    return len(archive.digests) - 1  # the manifest is none of its files


def _snapshot(storage: StorageLayout, database: Database) -> Snapshot:
    """Read the records while nobody changes any."""
    parts, ids = {}, {}
    with ExitStack() as held:
        held.enter_context(database.holding_references())
        for name, repository in database.tables().items():
            held.enter_context(repository.holding())
            placement = repository.placement
            for number in placement.present():
                path = placement.path(number)
                parts[str(path.relative_to(storage.root))] = (name, path.read_bytes())
            ids[name] = set(repository.select().ids)
        runs = [run for path in sorted(storage.runs.iterdir()) if (run := storage.run(path.name))]
    return Snapshot(parts, ids, runs)


def _is_added(archive: Archive, root: Path, run: RunFolder) -> bool:
    """Add a run with the state that it has now, and its mark if that is not final; tell whether it was still there."""
    is_unfinished, done = run.unfinished_mark.exists(), []
    with suppress(FileNotFoundError):  # one that is half made has no state
        text = run.state.read_bytes()
        archive.add_bytes(str(run.state.relative_to(root)), text)
        with suppress(StorageUnavailable):  # it cannot be understood, and is copied as it is
            is_unfinished = not state_in(run.state, text).is_final
        done = [run.state]
    _add_tree(archive, root, run.path, done)
    is_whole = str(run.config.relative_to(root)) in archive.digests
    if is_unfinished and is_whole:
        archive.add_bytes(str(run.unfinished_mark.relative_to(root)), b"")
    return is_whole


def _add_folder_of(archive: Archive, storage: StorageLayout, name: str, record_id: int) -> None:
    if name == "weights":
        folder = storage.weights(record_id)
        done = list(_add_checkpoints(archive, folder, f"weights/{record_id}"))
        _add_tree(archive, storage.root, folder.path, done)
    else:
        _add_tree(archive, storage.root, storage.dataset(record_id))


def _add_checkpoints(archive: Archive, folder: WeightsFolder, place: str) -> Iterator[Path]:
    """Add the files that a training replaces one after the other: `best`, the card that tells its hash, then `last`.

    Copied the other way round they are what a training leaves that is killed somewhere in between.
    """
    archive.add_file(f"{place}/{folder.last.name}", folder.last)
    yield from (folder.last, folder.best, folder.card)
    with suppress(FileNotFoundError):  # not saved yet, or deleted meanwhile
        _add_best(archive, folder, place)


def _add_best(archive: Archive, folder: WeightsFolder, place: str) -> None:
    deadline = time.monotonic() + SECONDS_FOR_A_CARD
    while True:
        with folder.best.open("rb") as best:
            text = folder.card.read_bytes()
            if _told_digest(folder.card, text) in (None, digest_of(best)) or time.monotonic() > deadline:
                archive.add_open_file(f"{place}/{folder.best.name}", best)
                archive.add_bytes(f"{place}/{folder.card.name}", text)
                return
        time.sleep(0.1)  # the training writes the card in a moment


def _told_digest(path: Path, text: bytes) -> str | None:
    """Return the hash that a card tells; None where it tells none, or cannot be understood: it is copied as it is."""
    with suppress(StorageUnavailable):
        card = parse_json(path, text)
        return None if fault_in(card, Card) else card.get("digest")
    return None


def _add_tree(archive: Archive, root: Path, folder: Path, without: Iterable[Path] = ()) -> None:
    """Add a folder with all that is in it; what vanishes meanwhile is left out."""
    archive.add_folder(str(folder.relative_to(root)))
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders):
            archive.add_folder(str(Path(parent, name).relative_to(root)))
        for path in (Path(parent, name) for name in sorted(files)):
            if path not in without and not (path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)):
                archive.add_file(str(path.relative_to(root)), path)


def _deleted_since(database: Database, snapshot: Snapshot) -> dict[str, set[int]]:
    tables = database.tables()
    return {name: snapshot.ids[name] - set(tables[name].select().ids) for name in DELETABLE}


def _without(name: str, content: bytes, lost: Mapping[str, set[int]]) -> bytes:
    """Return a file of records without those that are lost, and without what projects tell of them."""
    if not any(lost.values()) or name not in DELETABLE:
        return content
    tables = orjson.loads(content)
    records: dict[str, Any] = tables.get(name, {})
    kept = {key: record for key, record in records.items() if int(key) not in lost[name]}
    for record in kept.values() if name == "projects" else ():
        record |= {field: None for field, other in LATEST.items() if record.get(field) in lost[other]}
    if name in tables:
        tables[name] = kept
    return orjson.dumps(tables, option=JSON_FORM)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
