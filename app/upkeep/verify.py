"""Look at everything in a storage folder: records, what they refer to, and the files that belong to them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import NotFound
from app.repositories.database import Database
from app.runs.layout import StorageLayout
from app.upkeep.dataset_files import faulty_datasets
from app.upkeep.finding import Finding
from app.upkeep.references import broken_references
from app.upkeep.run_files import faulty_runs, left_by_killed_writers
from app.upkeep.stored import read_stored
from app.upkeep.weights_files import faulty_weights

SECOND_LOOK_SECONDS = 3.0


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    record_count: int
    run_count: int
    findings: Sequence[Finding]


def open_storage(root: Path) -> tuple[StorageLayout, Database]:
    """Open a storage folder that is there.

    Raises:
        NotFound: if it is none.
        StorageUnavailable: if a table of an earlier version cannot be divided.
    """
    storage = StorageLayout(root)
    if not storage.records.is_dir():
        raise NotFound(f"{root} is no storage folder: it has no folder db; name the right one with STORAGE_DIR.")
    storage.create()
    return storage, Database(storage.records)


def verify(root: Path, *, is_served: bool) -> Verified:
    """Look at everything and change nothing; what a service that runs is just about to change is looked at twice.

    Raises:
        NotFound: if this is no storage folder.
    """
    storage, database = open_storage(root)
    found = _look_until_calm(storage, database)
    if is_served and found.findings:
        time.sleep(SECOND_LOOK_SECONDS)
        before = {(finding.place, finding.fault) for finding in found.findings}
        again = _look_until_calm(storage, database)
        lasting = [finding for finding in again.findings if (finding.place, finding.fault) in before]
        return Verified(again.record_count, again.run_count, lasting)
    return found


def _look_until_calm(storage: StorageLayout, database: Database) -> Verified:
    """Look again if a service deletes a folder that is just being read."""
    while True:
        try:
            return _look(storage, database)
        except FileNotFoundError:
            continue


def _look(storage: StorageLayout, database: Database) -> Verified:
    stored, findings = read_stored(database, storage.root)
    findings += broken_references(database, stored)
    findings += faulty_weights(database, storage, stored)
    findings += faulty_datasets(database, storage, stored)
    findings += faulty_runs(storage, stored)
    findings += left_by_killed_writers(storage)
    run_count = sum(1 for _ in storage.runs.iterdir())
    return Verified(sum(map(len, stored.records.values())), run_count, findings)
