"""One TinyDB file: read from memory while it is unchanged, changed as a whole under a lock."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tinydb import TinyDB
from tinydb.storages import MemoryStorage, Storage

from app.errors import StorageUnavailable
from app.files import parse_json, remove_temporaries, unavailable, write_json
from app.repositories.locking import FileLock

Tables = dict[str, dict[str, dict[str, Any]]]
Stamp = tuple[int, int, int, int]

RECORD_ID = re.compile(r"[1-9][0-9]{0,17}")
# Two changes within one tick of the file system's clock may leave files with equal stamps. So content is served from
# memory only if it was already older than a tick (at most 10 ms on Linux) when it was read; git's index does the same.
SETTLED_AFTER_NS = 50_000_000


@dataclass(frozen=True)
class Snapshot:
    """What the file held when it was read; nobody changes it."""

    tables: Tables
    stamp: Stamp
    is_settled: bool


class JsonStorage(Storage):
    """The tables in one JSON file, in the form of TinyDB."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self._snapshot: Snapshot | None = None

    def create(self) -> None:
        """Make the file if it is absent. From then on its absence is an error and not an empty table."""
        if self.path.exists():
            return
        with self._lock.hold():
            if not self.path.exists():
                self.write({})

    def read(self) -> Tables:
        """Return the tables without waiting for writers; they are shared, so the caller must not change them.

        Raises:
            StorageUnavailable: naming the file, if it is missing or cannot be understood.
        """
        snapshot = self._snapshot
        if snapshot is None or not snapshot.is_settled or snapshot.stamp != self._present_stamp():
            snapshot, _ = self._load()
            self._snapshot = snapshot
        return snapshot.tables

    def write(self, data: Tables) -> None:
        """Replace the file; on its own this is no transaction."""
        remove_temporaries(self.path)
        write_json(self.path, data)

    @contextmanager
    def transaction(self) -> Iterator[TinyDB]:
        """Lend the tables for a change that is stored when the block ends, and not at all when it raises.

        Raises:
            StorageUnavailable: when the file cannot be locked, understood or written; it is then what it was.
        """
        with self._lock.hold():
            before, content = self._load()
            draft = MemoryStorage()
            draft.memory = orjson.loads(content)
            yield TinyDB(storage=lambda: draft)
            if draft.memory != before.tables:
                self.write(draft.memory)

    def _load(self) -> tuple[Snapshot, bytes]:
        try:
            with self.path.open("rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                is_settled = time.time_ns() - stamp[1] > SETTLED_AFTER_NS
                content = file.read()
        except OSError as error:
            raise unavailable(self.path, "read", error) from error
        tables = parse_json(self.path, content)
        self._check(tables)
        return Snapshot(tables, stamp, is_settled), content

    def _present_stamp(self) -> Stamp | None:
        try:
            return _stamp(self.path.stat())
        except OSError:
            return None  # reading it will say why

    def _check(self, tables: Any) -> None:
        """Refuse JSON that is not in the form of TinyDB, as an edit by hand may leave it."""
        table_of_file = tables.values() if isinstance(tables, dict) else [None]
        for table in table_of_file:
            if not isinstance(table, dict):
                raise self._malformed('an object like {"<table>": {"1": {...}}} is expected')
            for key, record in table.items():
                if not RECORD_ID.fullmatch(key) or not isinstance(record, dict):
                    raise self._malformed(f'at {key[:40]!r} an entry like "1": {{...}} is expected')

    def _malformed(self, expected: str) -> StorageUnavailable:
        return StorageUnavailable(f"The file {self.path} is no table: {expected}; correct it or restore a backup.")


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
