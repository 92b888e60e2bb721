"""Whether the files of weights are what their trainings saved."""

import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from app.errors import StorageUnavailable
from app.files import read_object
from app.repositories.database import Database
from app.runs.configs import Card, EpochRow, Export
from app.runs.layout import StorageLayout, WeightsFolder
from app.runs.reader import read_rows
from app.training.config import stored_config
from app.upkeep.finding import Finding, faulty_file, leftover
from app.upkeep.stored import Stored

SHA256 = "sha256"


def faulty_weights(database: Database, storage: StorageLayout, stored: Stored) -> Iterator[Finding]:
    """Yield what is wrong with weights folders: a folder or file that is gone or damaged, or that nothing refers to."""
    for weights_id, record in stored.records["weights"].items():
        folder, place = storage.weights(weights_id), f"weights/{weights_id}"
        advice = f"Put it back from a backup, or delete weights {weights_id}."
        if not folder.path.is_dir():
            yield Finding(place, "The folder of these weights is gone.", advice)
        elif folder.has_weights():
            if not _is_worked_on(storage, record):
                yield from _faulty_texts(storage.root, folder)
                yield from _faulty_files(folder, place, advice)
        elif record.get("has_file"):
            forget = partial(database.weights.update, weights_id, has_file=None)
            fault = "These weights had a file, and weights.json is gone."
            yield Finding(place, fault, f"{advice} --repair takes them off the list of those that can be used.", forget)
    if "weights" not in stored.unread:
        for path in storage.all_weights.iterdir():
            if path.name.isdecimal() and int(path.name) not in stored.records["weights"]:
                yield leftover(storage.root, path, "There is no record of these weights.")


def digest_of(file: BufferedReader) -> str:
    """Return the hash that the card tells of a file of weights."""
    return file_digest(file, SHA256).hexdigest()


def _is_worked_on(storage: StorageLayout, record: Mapping) -> bool:
    return bool(record.get("process_id")) and (storage.unfinished / record["process_id"]).exists()


def _faulty_files(folder: WeightsFolder, place: str, advice: str) -> Iterator[Finding]:
    try:
        card = read_object(folder.card, Card)
        stored_config(folder.card, card["config"])
    except (StorageUnavailable, FileNotFoundError) as error:
        yield Finding(f"{place}/weights.json", f"It cannot be read ({error}).", advice)
        return
    fault = _fault_of(folder.best, card.get("digest"))
    if fault:
        yield Finding(f"{place}/best.pt", fault, advice)
    fault = _fault_of(folder.last, None) if folder.last.exists() else None
    if fault:
        yield Finding(f"{place}/last.pt", fault, f"{advice} Without it the training cannot be resumed.")


def _faulty_texts(root: Path, folder: WeightsFolder) -> Iterator[Finding]:
    export = partial(read_object, folder.export, Export)
    yield from faulty_file(root, folder.export, export, "Delete it and model.onnx beside it: a download makes both.")
    rows = partial(read_rows, folder.metrics, EpochRow)
    yield from faulty_file(root, folder.metrics, rows, "Put it back from a backup, or delete the line.")


def _fault_of(path: Path, digest: str | None) -> str | None:
    """Return what is wrong with a file of PyTorch's: a zip archive, which has a checksum of each of its members."""
    try:
        with path.open("rb") as file:
            if digest is not None:
                is_sound = digest_of(file) == digest
            else:
                is_sound = not zipfile.is_zipfile(file) or zipfile.ZipFile(file).testzip() is None
    except (OSError, zipfile.BadZipFile) as error:
        return f"It cannot be read ({error})."
    return None if is_sound else "It is damaged: its checksum is not that of what was saved."
