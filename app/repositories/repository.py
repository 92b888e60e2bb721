"""Records of one kind, each a dictionary with an id that is given once and never again."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import orjson
from tinydb import TinyDB
from tinydb.table import Document, Table

from app.errors import NotFound
from app.repositories.ids import AssignedIds
from app.repositories.json_storage import JsonStorage

Record = dict[str, Any]


class Repository:
    """The records of one file. What it returns are copies; what it takes is stored only when the call returns.

    Every method raises StorageUnavailable, naming the file, when that cannot be read or written.
    """

    def __init__(self, storage: JsonStorage, noun: str):
        self.noun = noun
        self._storage = storage
        self._name = storage.path.stem
        self._stored = self._table(TinyDB(storage=lambda: storage))

    def all(self) -> list[Record]:
        """Return every record, ordered by id."""
        return self.find()

    def find(self, **equals: Any) -> list[Record]:
        """Return the records whose fields have these values, ordered by id; an absent field counts as None."""
        records = (_record(document) for document in self._stored)
        found = [record for record in records if all(record.get(name) == value for name, value in equals.items())]
        return _copy(sorted(found, key=lambda record: record["id"]))

    def get(self, record_id: int) -> Record:
        """Return one record.

        Raises:
            NotFound: if no record has this id.
        """
        return _copy(_record(self._found(self._stored, record_id)))

    def reserve_id(self, least: int = 1) -> int:
        """Return an id that no record has or will get, for files that have to be there before their record is.

        `least` is the lowest one to take, in a table in which later versions of the software will seed more records.
        """
        with self._storage.transaction() as tables:
            return AssignedIds(tables, self._table(tables)).take(least)

    def was_assigned(self, record_id: int) -> bool:
        """Tell whether the id was given to a record, seeded or reserved at any time."""
        return record_id in AssignedIds(TinyDB(storage=lambda: self._storage), self._stored)

    def add(self, record: Mapping[str, Any]) -> Record:
        """Store a new record and return it with its id; if it has an id, that has to be one from `reserve_id`.

        Raises:
            ValueError: for an id that was not reserved, or that a record has.
        """
        fields = _fields(record)
        with self._storage.transaction() as tables:
            table = self._table(tables)
            ids = AssignedIds(tables, table)
            record_id = record["id"] if "id" in record else ids.take()
            if not ids.is_reserved(record_id):
                raise ValueError(f"The id {record_id} was not reserved for a new {self.noun}.")
            table.insert(Document(fields, record_id))
        return fields | {"id": record_id}

    def add_missing(self, records: Iterable[Mapping[str, Any]]) -> list[Record]:
        """Store the records, each with its id, whose ids were never assigned; return those.

        So a record that a user changed or deleted stays as that user left it.
        """
        with self._storage.transaction() as tables:
            table = self._table(tables)
            ids = AssignedIds(tables, table)
            missing = [record for record in records if record["id"] not in ids]
            for record in missing:
                table.insert(Document(_fields(record), record["id"]))
            ids.note_seeded(record["id"] for record in missing)
        return _copy(missing)

    def update(self, record_id: int, /, **changes: Any) -> Record:
        """Change some fields of a record and return it whole.

        Raises:
            NotFound: if no record has this id.
        """
        return self.transform(record_id, lambda record: record | changes)

    def transform(self, record_id: int, function: Callable[[Record], Record]) -> Record:
        """Replace a record by what the function makes of it, with no other change in between, and return that.

        Raises:
            NotFound: if no record has this id.
            ValueError: if the function changes the id.
        """
        with self._storage.transaction() as tables:
            table = self._table(tables)
            record = function(_copy(_record(self._found(table, record_id))))
            if record.get("id", record_id) != record_id:
                raise ValueError(f"The id of {self.noun} {record_id} cannot be changed to {record['id']}.")
            fields = _fields(record)
            table.update(partial(_replace, fields), doc_ids=[record_id])
        return fields | {"id": record_id}

    def delete(self, record_id: int) -> None:
        """Delete a record; its id is not given again.

        Raises:
            NotFound: if no record has this id.
        """
        with self._storage.transaction() as tables:
            table = self._table(tables)
            self._found(table, record_id)
            AssignedIds(tables, table).note_deleted(record_id)
            table.remove(doc_ids=[record_id])

    def _table(self, tables: TinyDB) -> Table:
        return tables.table(self._name, cache_size=0)

    def _found(self, table: Table, record_id: int) -> Document:
        document = table.get(doc_id=record_id)
        if document is None:
            raise NotFound(f"There is no {self.noun} {record_id}.")
        return document


def _record(document: Document) -> Record:
    return document | {"id": document.doc_id}


def _fields(record: Mapping[str, Any]) -> Record:
    """Return what is stored of a record: its id is the key, and all else is as JSON will give it back."""
    return _copy({name: value for name, value in record.items() if name != "id"})


def _replace(fields: Record, stored: Record) -> None:
    stored.clear()
    stored.update(fields)


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))
