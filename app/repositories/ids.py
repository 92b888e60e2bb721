"""Which ids of a table were ever given, noted in the parts that they belong to so that both change together."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from tinydb.table import Document

from app.files import damaged
from app.forms import fault_in
from app.repositories.table import NOTES, ONLY_NOTE, Draft, Table


class Notes(TypedDict):
    """What a part notes, see `AssignedIds`."""

    first_id: NotRequired[int]
    last_id: NotRequired[int]
    seeded_ids: NotRequired[list[int]]


class AssignedIds:
    """The ids that were given to records, deleted ones included.

    Three notes are enough: the lowest and the highest id given to new records, between which all count as given, and
    the list of seeded ids, which may have gaps that a later version of the software fills. What is known at the last
    refresh of the table is what counts; a transaction begins with one.
    """

    def __init__(self, table: Table):
        self._table = table

    def __contains__(self, record_id: int) -> bool:
        is_given = self._first_id() <= record_id <= self._last_id() or self._is_seeded(record_id)
        return is_given or self._is_present(record_id)

    def take(self, draft: Draft, least: int = 1) -> int:
        """Return the next id and note it as given; those below the least one are left to the software."""
        number = self._table.last_part
        draft.notes(number)  # reads it anew: a person may have added a record a moment ago
        last_id, seeded_ids = self._notes(number)
        part = self._table.part(number)
        present = part.rows.ids if part else []
        first_of_part = self._table.placement.ids(number)[0]
        record_id = max([last_id, self._last_id(), *seeded_ids, *present, first_of_part - 1, least - 1]) + 1
        if least > 1 and not self._last_id():
            self._note(draft, 1, first_id=record_id)
        self._note(draft, record_id, last_id=record_id)
        return record_id

    def is_reserved(self, record_id: int) -> bool:
        """Tell whether the id was taken for a new record and no record has it."""
        is_taken = self._first_id() <= record_id <= self._last_id() and not self._is_seeded(record_id)
        return is_taken and not self._is_present(record_id)

    def note_seeded(self, draft: Draft, record_ids: Iterable[int]) -> None:
        """Note ids that came with the software."""
        for record_id in record_ids:
            noted = draft.notes(self._part_of(record_id)).get(doc_id=ONLY_NOTE) or {}
            seeded_ids = {*noted.get("seeded_ids", []), record_id}
            self._note(draft, record_id, seeded_ids=sorted(seeded_ids))

    def note_deleted(self, draft: Draft, record_id: int) -> None:
        """Note an id that only the record itself told of so far: a person may have written it into the file."""
        last_id, seeded_ids = self._notes(self._part_of(record_id))
        if record_id < self._first_id():
            self.note_seeded(draft, [record_id])
        elif record_id not in seeded_ids:
            self._note(draft, record_id, last_id=max(record_id, last_id))

    def _first_id(self) -> int:
        """Return the lowest id given to a new record; the first part notes it where that is not 1."""
        part = self._table.part(1)
        return part.notes.get("first_id", 1) if part else 1

    def _last_id(self) -> int:
        """Return the highest id given to a new record: the highest part that notes one has it."""
        for number in range(self._table.last_part, 0, -1):
            last_id, _ = self._notes(number)
            if last_id:
                return last_id
        return 0

    def _is_seeded(self, record_id: int) -> bool:
        return record_id in self._notes(self._part_of(record_id))[1]

    def _is_present(self, record_id: int) -> bool:
        part = self._table.part(self._part_of(record_id))
        return part is not None and record_id in part.rows.ids

    def _part_of(self, record_id: int) -> int:
        return self._table.placement.part_of(record_id)

    def _notes(self, number: int) -> tuple[int, list[int]]:
        """Return the last id and the seeded ids that a part notes."""
        part = self._table.part(number)
        notes = part.notes if part else {}
        if fault := fault_in(notes, Notes):
            raise damaged(self._table.placement.path(number), f"has a fault in its {NOTES}: {fault}")
        return notes.get("last_id", 0), notes.get("seeded_ids", [])

    def _note(self, draft: Draft, record_id: int, **changes: int | list[int]) -> None:
        draft.notes(self._part_of(record_id)).upsert(Document(changes, ONLY_NOTE))
