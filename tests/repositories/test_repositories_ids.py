from contextlib import contextmanager

import pytest
from tinydb.table import Document

from app.repositories.ids import AssignedIds
from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.table import Table


@pytest.fixture(params=[None, 4, 100], ids=["one file", "parts of 4", "parts of 100"])
def table(request, tmp_path):
    placement = Placement(tmp_path, "projects", request.param)
    prepare(placement)
    return Table(placement)


@pytest.fixture
def ids(table):
    return AssignedIds(table)


def hold(table, *record_ids):
    """Store records that nobody noted, as a person writes them."""
    with table.transaction() as draft:
        for record_id in record_ids:
            draft.part(table.placement.part_of(record_id)).insert(Document({}, record_id))


@contextmanager
def change(table):
    with table.transaction() as draft:
        yield draft
    table.refresh()


def take(ids, table):
    with change(table) as draft:
        return ids.take(draft)


def test_ids_count_from_1(ids, table):
    assert [take(ids, table) for _ in range(6)] == [1, 2, 3, 4, 5, 6]


def test_the_next_id_is_above_every_present_one(ids, table):
    hold(table, 3, 12, 5)
    assert take(ids, table) == 13


def test_the_next_id_is_above_every_seeded_one(ids, table):
    with change(table) as draft:
        ids.note_seeded(draft, [40, 2])
    assert take(ids, table) == 41


def test_seeded_ids_leave_their_gaps_free_until_a_new_record_comes(ids, table):
    with change(table) as draft:
        ids.note_seeded(draft, [2, 4])
    assert [record_id for record_id in range(1, 6) if record_id in ids] == [2, 4]
    assert take(ids, table) == 5
    assert [record_id for record_id in range(1, 8) if record_id in ids] == [1, 2, 3, 4, 5]


def test_a_deleted_id_is_noted_unless_it_was_seeded(ids, table):
    with change(table) as draft:
        ids.note_seeded(draft, [9])
    with change(table) as draft:
        ids.note_deleted(draft, 9)
    assert 8 not in ids
    with change(table) as draft:
        ids.note_deleted(draft, 12)
    assert take(ids, table) == 13


def test_only_a_taken_id_without_a_record_is_reserved(ids, table):
    hold(table, 2)
    with change(table) as draft:
        ids.note_seeded(draft, [3])
    taken = take(ids, table)
    assert [record_id for record_id in range(-1, 8) if ids.is_reserved(record_id)] == [1, taken]
