"""One TinyDB file as it was read: whole, checked, and with the stamp that tells whether it has changed since."""

import os
import re
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from app.errors import StorageDamaged
from app.files import damaged, parse_json, unavailable

Tables = dict[str, dict[str, dict[str, Any]]]
Stamp = tuple[int, int, int, int]

RECORD_ID = re.compile(r"[1-9][0-9]{0,17}")
# Two changes within one tick of the file system's clock may leave files with equal stamps. So content is served from
# memory only if it was already older than a tick (at most 10 ms on Linux) when it was read; git's index does the same.
SETTLED_AFTER_NS = 50_000_000


@dataclass(frozen=True)
class Version:
    """Which state of a file was read."""

    stamp: Stamp
    is_settled: bool

    def is_at(self, stamp: Stamp | None) -> bool:
        """Tell whether a file that has this stamp now is for certain still as it was."""
        return self.is_settled and self.stamp == stamp


class Content:
    """The text of a file, in the form in which this service writes it, and one record of it at a time.

    A file of a hundred records is read ten times faster than it is parsed, and its text takes a third of the memory.
    In this form a record begins on a line of its own with its id, four blanks in, and ends with a line of four blanks
    and a brace; texts cannot imitate that, for JSON escapes their line ends.
    """

    def __init__(self, text: bytes, name: str, version: Version):
        self.text = text
        self.version = version
        self._begin = text.find(b'\n  "%s": {\n' % name.encode())
        self._end = text.find(b"\n  }", self._begin)

    def record(self, record_id: int) -> dict[str, Any] | None:
        """Return a record without its id, None where there is none."""
        if self._begin < 0:
            return None
        key = b'\n    "%d": {' % record_id
        at = self.text.find(key, self._begin, self._end)
        if at < 0:
            return None
        begin = at + len(key) - 1
        if self.text.startswith(b"{}", begin):
            return {}
        return orjson.loads(self.text[begin : self.text.index(b"\n    }", begin) + 6])


def read_text(path: Path) -> tuple[bytes, Version]:
    """Read a file without waiting for writers.

    Raises:
        StorageUnavailable: naming the file and the reason.
        StorageDamaged: if it is gone.
    """
    try:
        with path.open("rb") as file:
            stamp = stamp_in(os.fstat(file.fileno()))
            is_settled = time.time_ns() - stamp[1] > SETTLED_AFTER_NS
            return file.read(), Version(stamp, is_settled)
    except FileNotFoundError as error:
        raise StorageDamaged(f"The file {path} is gone; restore a backup of it.") from error
    except OSError as error:
        raise unavailable(path, "read", error) from error


def parsed(path: Path, text: bytes, name: str, record_ids: Container[int]) -> Tables:
    """Return the tables in the text of a file.

    Args:
        path: of the file.
        text: of the file.
        name: of the table of records in it.
        record_ids: those that may lie in this file.

    Raises:
        StorageDamaged: naming the file, if it is not in the form of TinyDB or a record lies in the wrong file.
    """
    tables = parse_json(path, text)
    _check(path, tables)
    _check_places(path, tables.get(name, {}), record_ids)
    return tables


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells a file from its later states; None while there is none."""
    try:
        return stamp_in(path.stat())
    except OSError:
        return None  # reading it will say why


def stamp_in(status: os.stat_result) -> Stamp:
    """Return the stamp of a file from what the system tells of it."""
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _check(path: Path, tables: Any) -> None:
    """Refuse JSON that is not in the form of TinyDB, as an edit by hand may leave it."""
    table_of_file = tables.values() if isinstance(tables, dict) else [None]
    for table in table_of_file:
        if not isinstance(table, dict):
            raise _malformed(path, 'an object like {"<table>": {"1": {...}}} is expected')
        for key, record in table.items():
            if not RECORD_ID.fullmatch(key) or not isinstance(record, dict):
                raise _malformed(path, f'at {key[:40]!r} an entry like "1": {{...}} is expected')


def _check_places(path: Path, records: dict[str, Any], record_ids: Container[int]) -> None:
    for key in records:
        if int(key) not in record_ids:
            raise _malformed(path, f"the record {key} does not belong into the file of this name")


def _malformed(path: Path, expected: str) -> StorageDamaged:
    return damaged(path, f"is no table: {expected}")
