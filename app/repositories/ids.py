"""Which ids of a table were ever given, noted in the table's own file so that both change together."""

from collections.abc import Iterable

from tinydb import TinyDB
from tinydb.table import Document, Table

from app.errors import StorageUnavailable

NOTES = "assigned_ids"
ONLY_NOTE = 1


class AssignedIds:
    """The ids that were given to records, deleted ones included.

    Three notes are enough: the lowest and the highest id given to new records, between which all count as given, and
    the list of seeded ids, which may have gaps that a later version of the software fills.
    """

    def __init__(self, tables: TinyDB, table: Table):
        self._notes = tables.table(NOTES, cache_size=0)
        self._table = table

    def __contains__(self, record_id: int) -> bool:
        is_given = self._first_id <= record_id <= self._last_id or record_id in self._seeded_ids
        return is_given or self._is_present(record_id)

    def take(self, least: int = 1) -> int:
        """Return the next id and note it as given; those below the least one are left to the software."""
        present = (document.doc_id for document in self._table)
        record_id = max([self._last_id, *self._seeded_ids, *present, least - 1]) + 1
        if least > 1 and not self._last_id:
            self._note(first_id=record_id)
        self._note(last_id=record_id)
        return record_id

    def is_reserved(self, record_id: int) -> bool:
        """Tell whether the id was taken for a new record and no record has it."""
        is_taken = self._first_id <= record_id <= self._last_id and record_id not in self._seeded_ids
        return is_taken and not self._is_present(record_id)

    def note_seeded(self, record_ids: Iterable[int]) -> None:
        """Note ids that came with the software."""
        self._note(seeded_ids=sorted({*self._seeded_ids, *record_ids}))

    def note_deleted(self, record_id: int) -> None:
        """Note an id that only the record itself told of so far: a person may have written it into the file."""
        if record_id < self._first_id:
            self.note_seeded([record_id])
        elif record_id not in self._seeded_ids:
            self._note(last_id=max(record_id, self._last_id))

    @property
    def _first_id(self) -> int:
        return self._read()[0]

    @property
    def _last_id(self) -> int:
        return self._read()[1]

    @property
    def _seeded_ids(self) -> list[int]:
        return self._read()[2]

    def _read(self) -> tuple[int, int, list[int]]:
        notes = self._notes.get(doc_id=ONLY_NOTE) or {}
        first_id, last_id, seeded_ids = notes.get("first_id", 1), notes.get("last_id", 0), notes.get("seeded_ids", [])
        numbers = [first_id, last_id, *seeded_ids] if isinstance(seeded_ids, list) else [None]
        if not all(isinstance(number, int) for number in numbers):
            raise StorageUnavailable(
                f"The file {self._table.name}.json has something else than whole numbers in its {NOTES}; "
                "correct it or restore a backup."
            )
        return first_id, last_id, seeded_ids

    def _note(self, **changes: int | list[int]) -> None:
        self._notes.upsert(Document(changes, ONLY_NOTE))

    def _is_present(self, record_id: int) -> bool:
        return self._table.contains(doc_id=record_id)
