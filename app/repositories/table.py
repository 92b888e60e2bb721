"""The records of one kind, in TinyDB files: read from memory while they are unchanged, changed as a whole under a lock.

A change rewrites the one part that the record lies in, so its cost does not grow with the number of records. In memory
are the index of all parts and the content of the parts that were used last.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
from tinydb import TinyDB
from tinydb.storages import MemoryStorage
from tinydb.table import Table as TinyTable

from app.errors import StorageUnavailable
from app.files import JSON_FORM, write_atomically
from app.repositories.changes import Changes
from app.repositories.content import Content, Stamp, Tables, Version, parsed, read_text, stamp_of
from app.repositories.index import NO_ROWS, Fields, Ids, Index, Rows
from app.repositories.locking import FileLock
from app.repositories.placement import Placement

NOTES = "assigned_ids"
ONLY_NOTE = 1
EMPTY = orjson.dumps({}, option=JSON_FORM)

PARTS_IN_MEMORY = 32
# What people edit is found at once in so many parts; in larger tables all parts are looked at this often.
FEW_PARTS = 8
LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """What is remembered of a part whether its content is in memory or not."""

    version: Version
    rows: Rows
    notes: Mapping[str, Any]
    is_in_our_form: bool


class Table:
    """The parts of one table.

    Args:
        placement: where they lie.
        groups: the fields that records are found by; see `Index`.
    """

    def __init__(self, placement: Placement, groups: Iterable[Fields] = ()):
        self.placement = placement
        self.last_part = 1  # a table has this one from the start
        self._lock = FileLock(placement.lock)
        self._threads = threading.RLock()
        self._index = Index(groups)
        self._changes = Changes(placement.changes) if placement.is_parted else None
        self._parts: dict[int, Part] = {}
        self._contents: OrderedDict[int, Content] = OrderedDict()
        self._suspects: set[int] = set()
        self._looked_at = float("-inf")

    @property
    def name(self) -> str:
        return self.placement.name

    def holding(self) -> AbstractContextManager[None]:
        """Hold the lock of all writers."""
        return self._lock.hold()

    def refresh(self) -> None:
        """Learn what has changed.

        Raises:
            StorageUnavailable: naming a file that cannot be understood.
        """
        with self._threads:
            self._learn_changes()

    def part(self, number: int) -> Part | None:
        """Return what was known of a part at the last refresh; None while there is none of this number."""
        return self._parts.get(number)

    def content(self, number: int) -> Content | None:
        """Return a part as it is now; None where there is none.

        Raises:
            StorageUnavailable: naming the file if it cannot be understood.
        """
        with self._threads:
            if number not in self._parts:
                self._learn_changes()
            return self._content(number) if number in self._parts else None

    def find(self, equals: Mapping[str, Any]) -> tuple[Ids, bool]:
        """Return ids of the records with these values as of now; see `Index.find`."""
        with self._threads:
            self._learn_changes()
            return self._index.find(equals)

    @contextmanager
    def transaction(self) -> Iterator["Draft"]:
        """Lend the table for a change that is stored when the block ends, and not at all when it raises.

        Raises:
            StorageUnavailable: when a file cannot be locked, understood or written; it is then what it was.
        """
        with self._lock.hold():
            self.refresh()
            draft = Draft(self)
            yield draft
            for number, tables, text in draft.changed():
                self._write(number, tables, text)

    def read_anew(self, number: int) -> bytes:
        """Return the text of a part whatever is in memory; one that is not there yet is empty."""
        with self._threads:
            if number > self.last_part and stamp_of(self.placement.path(number)) is None:
                return EMPTY
            self._read(number)
            return self._contents[number].text

    def _write(self, number: int, tables: Tables, text: bytes) -> None:
        """Replace a part, having made those that are still missing before it; the lock is held."""
        for missing in range(self.last_part + 1, number):
            self._write(missing, {}, EMPTY)
        path = self.placement.path(number)
        if self._changes is not None:
            self._changes.note(number)
        write_atomically(path, text, temporary=self.placement.temporary)
        with self._threads:
            version = Version(stamp_of(path) or (0, 0, 0, 0), is_settled=False)
            self._learn(number, tables, version, is_in_our_form=True)
            self._keep(number, text, version)

    def _learn_changes(self) -> None:
        """Read the parts that another process, or a person, may have changed; then tell of one that cannot be read."""
        self._suspects |= self._changed_parts()
        failure = None
        for number in sorted(self._suspects):
            try:
                if self._is_settled(number):
                    self._suspects.discard(number)
            except StorageUnavailable as error:
                failure = failure or error
        if failure:
            raise failure

    def _is_settled(self, number: int) -> bool:
        """Read a part if it is not in memory as it is now; False while a first writer is not yet done with it."""
        stamp = stamp_of(self.placement.path(number))
        if stamp is None and number > self.last_part:
            return False
        if not self._is_known(number, stamp):
            self._read(number)
        return True

    def _is_known(self, number: int, stamp: Stamp | None) -> bool:
        part = self._parts.get(number)
        return part is not None and part.version.is_at(stamp)

    def _changed_parts(self) -> set[int]:
        noted = self._changes.since_last_time() if self._changes else None
        now = time.monotonic()
        if noted is not None and len(self._parts) > FEW_PARTS and now - self._looked_at < LOOK_AGAIN_SECONDS:
            return noted
        self._looked_at = now
        present = self.placement.present()
        self.last_part = max(self.last_part, *present, 1)
        # Of the parts that are missing, the first one is enough to tell: a file's name may hold any number.
        first_missing = next(number for number in count(1) if number not in present)
        there = {*present, *self._parts} | ({first_missing} if first_missing <= self.last_part else set())
        return {number for number in there if not self._is_known(number, present.get(number))}

    def _content(self, number: int) -> Content:
        content = self._contents.get(number)
        if content is None or not content.version.is_at(stamp_of(self.placement.path(number))):
            self._read(number)
            content = self._contents[number]
        self._contents.move_to_end(number)
        return content

    def _read(self, number: int) -> None:
        """Put a part into memory; parse it only if it is not the version that is known, or not in our own form."""
        path, part = self.placement.path(number), self._parts.get(number)
        text, version = read_text(path)
        if part is not None and part.is_in_our_form and part.version.is_settled and part.version == version:
            self._keep(number, text, version)
        else:
            tables = parsed(path, text, self.name, self.placement.ids(number))
            own_text = orjson.dumps(tables, option=JSON_FORM)
            self._learn(number, tables, version, is_in_our_form=own_text == text)
            self._keep(number, own_text, version)

    def _learn(self, number: int, tables: Tables, version: Version, is_in_our_form: bool) -> None:
        records = {int(key): record for key, record in tables.get(self.name, {}).items()}
        rows = self._index.rows(records)
        before = self._parts[number].rows if number in self._parts else NO_ROWS
        self._index.replace(before, rows)
        notes = tables.get(NOTES, {}).get(str(ONLY_NOTE), {})
        self._parts[number] = Part(version, rows, notes, is_in_our_form)
        self.last_part = max(self.last_part, number)

    def _keep(self, number: int, text: bytes, version: Version) -> None:
        self._contents[number] = Content(text, self.name, version)
        self._contents.move_to_end(number)
        if len(self._contents) > PARTS_IN_MEMORY:
            self._contents.popitem(last=False)


class Draft:
    """The parts that a transaction uses, as it leaves them."""

    def __init__(self, table: Table):
        self._table = table
        self._stored: dict[int, bytes] = {}
        self._drafts: dict[int, MemoryStorage] = {}

    def part(self, number: int) -> TinyTable:
        """Return the records of a part, to change."""
        return self._tables(number).table(self._table.name, cache_size=0)

    def notes(self, number: int) -> TinyTable:
        """Return the notes of a part, to change."""
        return self._tables(number).table(NOTES, cache_size=0)

    def changed(self) -> Iterator[tuple[int, Tables, bytes]]:
        """Yield the number, the tables and the text of each part that is not as it was, in their order."""
        for number, draft in sorted(self._drafts.items()):
            text = orjson.dumps(draft.memory, option=JSON_FORM)
            if text != self._stored[number]:
                yield number, draft.memory, text

    def _tables(self, number: int) -> TinyDB:
        if number not in self._drafts:
            self._stored[number] = self._table.read_anew(number)
            draft = MemoryStorage()
            draft.memory = orjson.loads(self._stored[number])
            self._drafts[number] = draft
        draft = self._drafts[number]
        return TinyDB(storage=lambda: draft)
