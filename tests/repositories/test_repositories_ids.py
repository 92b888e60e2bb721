from tinydb import TinyDB
from tinydb.storages import MemoryStorage
from tinydb.table import Document

from app.repositories.ids import AssignedIds


def ids_of(*present: int) -> AssignedIds:
    tables = TinyDB(storage=MemoryStorage)
    table = tables.table("projects")
    for record_id in present:
        table.insert(Document({}, record_id))
    return AssignedIds(tables, table)


def test_ids_count_from_1():
    ids = ids_of()
    assert [ids.take() for _ in range(3)] == [1, 2, 3]


def test_the_next_id_is_above_every_present_one():
    assert ids_of(3, 12, 5).take() == 13


def test_the_next_id_is_above_every_seeded_one():
    ids = ids_of()
    ids.note_seeded([40, 2])
    assert ids.take() == 41


def test_seeded_ids_leave_their_gaps_free_until_a_new_record_comes():
    ids = ids_of()
    ids.note_seeded([2, 4])
    assert [record_id for record_id in range(1, 6) if record_id in ids] == [2, 4]
    ids.take()
    assert [record_id for record_id in range(1, 8) if record_id in ids] == [1, 2, 3, 4, 5]


def test_a_deleted_id_is_noted_unless_it_was_seeded():
    ids = ids_of()
    ids.note_seeded([9])
    ids.note_deleted(9)
    assert 8 not in ids
    ids.note_deleted(12)
    assert ids.take() == 13


def test_only_a_taken_id_without_a_record_is_reserved():
    ids = ids_of(2)
    ids.note_seeded([3])
    taken = ids.take()
    assert [record_id for record_id in range(-1, 8) if ids.is_reserved(record_id)] == [1, taken]
