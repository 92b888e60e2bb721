"""Records of one kind, each a dictionary with an id that is given once and never again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from typing import Any

import orjson
from tinydb.table import Document
from tinydb.table import Table as TinyTable

from app.errors import NotFound
from app.files import damaged
from app.forms import fault_in
from app.repositories.ids import AssignedIds
from app.repositories.placement import Placement
from app.repositories.selection import Record, Selection
from app.repositories.table import Draft, Table


class Repository:
    """The records of one table. What it returns are copies; what it takes is stored only when the call returns.

    Every method raises StorageUnavailable, naming the file, when that cannot be read or written, and StorageDamaged
    when what it reads there is no record of this form.
    """

    def __init__(self, table: Table, noun: str, form: Any = Any):
        self.noun = noun
        self.form = form
        self._table = table
        self._ids = AssignedIds(table)

    @property
    def placement(self) -> Placement:
        """Where the records lie."""
        return self._table.placement

    def holding(self) -> AbstractContextManager[None]:
        """Hold the table: nobody changes it meanwhile, the holder included."""
        return self._table.holding()

    def load(self) -> None:
        """Read all records now; without it the first use does."""
        self._table.refresh()

    def all(self) -> list[Record]:
        """Return every record, ordered by id."""
        return self.find()

    def find(self, **equals: Any) -> list[Record]:
        """Return the records whose fields have these values, ordered by id; an absent field counts as None."""
        return list(self.select(**equals))

    def select(self, **equals: Any) -> Selection:
        """Return what `find` does, but nothing is read before it is asked for: the way to a page of many records."""
        ids: Sequence[int] = [equals["id"]] if isinstance(equals.get("id"), int) else []
        is_exact = False
        if "id" not in equals:
            ids, is_exact = self._table.find(equals)
        if not is_exact:
            ids = [record["id"] for record in self._read(ids) if _has(record, equals)]
        return Selection(ids, self._read)

    def get(self, record_id: int) -> Record:
        """Return one record.

        Raises:
            NotFound: if no record has this id.
        """
        records = self._read([record_id])
        if not records:
            raise self._not_found(record_id)
        return records[0]

    def reserve_id(self, least: int = 1) -> int:
        """Return an id that no record has or will get, for files that have to be there before their record is.

        `least` is the lowest one to take, in a table in which later versions of the software will seed more records.
        """
        with self._table.transaction() as draft:
            return self._ids.take(draft, least)

    def was_assigned(self, record_id: int) -> bool:
        """Tell whether the id was given to a record, seeded or reserved at any time."""
        self._table.refresh()
        return record_id in self._ids

    def add(self, record: Mapping[str, Any]) -> Record:
        """Store a new record and return it with its id; if it has an id, that has to be one from `reserve_id`.

        Raises:
            ValueError: for an id that was not reserved, or that a record has.
        """
        fields = _fields(record)
        with self._table.transaction() as draft:
            record_id = self._reserved(record["id"]) if "id" in record else self._ids.take(draft)
            self._part(draft, record_id).insert(Document(fields, record_id))
        return fields | {"id": record_id}

    def add_missing(self, records: Iterable[Mapping[str, Any]]) -> list[Record]:
        """Store the records, each with its id, whose ids were never assigned; return those.

        So a record that a user changed or deleted stays as that user left it.
        """
        with self._table.transaction() as draft:
            missing = [record for record in records if record["id"] not in self._ids]
            for record in missing:
                self._part(draft, record["id"]).insert(Document(_fields(record), record["id"]))
            self._ids.note_seeded(draft, (record["id"] for record in missing))
        return _copy(missing)

    def update(self, record_id: int, /, **changes: Any) -> Record:
        """Change some fields of a record and return it whole.

        Raises:
            NotFound: if no record has this id.
        """
        return self.transform(record_id, lambda record: record | changes)

    def update_each(self, record_ids: Iterable[int], /, **changes: Any) -> None:
        """Change some fields of many records, each file once; those that are not there are left out."""
        fields = _fields(changes)
        by_part = groupby(sorted(record_ids), self._table.placement.part_of)
        for number, ids in ((number, list(ids)) for number, ids in by_part):
            with self._table.transaction() as draft:
                part = draft.part(number)
                part.update(fields, doc_ids=[record_id for record_id in ids if part.contains(doc_id=record_id)])

    def transform(self, record_id: int, function: Callable[[Record], Record]) -> Record:
        """Replace a record by what the function makes of it, with no other change in between, and return that.

        Raises:
            NotFound: if no record has this id.
            ValueError: if the function changes the id.
        """
        with self._table.transaction() as draft:
            part = self._part_with(draft, record_id)
            record = function(_copy(self._checked(record_id, part.get(doc_id=record_id))))
            if record.get("id", record_id) != record_id:
                raise ValueError(f"The id of {self.noun} {record_id} cannot be changed to {record['id']}.")
            fields = _fields(record)
            part.update(partial(_replace, fields), doc_ids=[record_id])
        return fields | {"id": record_id}

    def delete(self, record_id: int) -> None:
        """Delete a record; its id is not given again.

        Raises:
            NotFound: if no record has this id.
        """
        with self._table.transaction() as draft:
            part = self._part_with(draft, record_id)
            self._ids.note_deleted(draft, record_id)
            part.remove(doc_ids=[record_id])

    def _read(self, ids: Sequence[int]) -> list[Record]:
        """Return the records with these ids that are there."""
        found = []
        for number, ids_of_part in groupby(ids, self._table.placement.part_of):
            content = self._table.content(number)
            for record_id in ids_of_part:
                fields = content.record(record_id) if content else None
                if fields is not None:
                    found.append(self._checked(record_id, fields))
        return found

    def _checked(self, record_id: int, fields: Any) -> Record:
        if fault := fault_in(fields, self.form):
            path = self.placement.path(self.placement.part_of(record_id))
            raise damaged(path, f"has a fault in {self.noun} {record_id}: {fault}")
        return {**fields, "id": record_id}

    def _part(self, draft: Draft, record_id: int) -> TinyTable:
        return draft.part(self._table.placement.part_of(record_id))

    def _part_with(self, draft: Draft, record_id: int) -> TinyTable:
        """Return the part that holds a record."""
        if self._table.part(self._table.placement.part_of(record_id)) is None:
            raise self._not_found(record_id)
        part = self._part(draft, record_id)
        if not part.contains(doc_id=record_id):
            raise self._not_found(record_id)
        return part

    def _reserved(self, record_id: int) -> int:
        if not self._ids.is_reserved(record_id):
            raise ValueError(f"The id {record_id} was not reserved for a new {self.noun}.")
        return record_id

    def _not_found(self, record_id: int) -> NotFound:
        return NotFound(f"There is no {self.noun} {record_id}.")


def _has(record: Record, equals: Mapping[str, Any]) -> bool:
    return all(record.get(name) == value for name, value in equals.items())


def _fields(record: Mapping[str, Any]) -> Record:
    """Return what is stored of a record: its id is the key, and all else is as JSON will give it back."""
    return _copy({name: value for name, value in record.items() if name != "id"})


def _replace(fields: Record, stored: Record) -> None:
    stored.clear()
    stored.update(fields)


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))
