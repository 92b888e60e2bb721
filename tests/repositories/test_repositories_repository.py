import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import NotFound, StorageUnavailable
from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table


def test_a_new_record_is_returned_with_its_id_and_found_again(repository):
    record = repository.add({"name": "demo", "task_id": 1})
    assert record == {"id": 1, "name": "demo", "task_id": 1}
    assert repository.get(1) == record
    assert repository.all() == [record]


def test_another_process_would_find_the_same(repository, placement):
    repository.add({"name": "demo"})
    assert Repository(Table(placement), "project").all() == repository.all()


def test_records_are_found_by_all_the_given_fields_in_the_order_of_ids(repository):
    for name, task_id in [("a", 1), ("b", 2), ("a", 2), ("a", 1)]:
        repository.add({"name": name, "task_id": task_id})
    assert [record["id"] for record in repository.find(name="a", task_id=1)] == [1, 4]
    assert repository.find(name="c") == []
    assert repository.find(id=2) == [repository.get(2)]


def test_an_absent_field_is_found_as_none(repository):
    repository.add({"name": "a"})
    repository.add({"name": "b", "weights_id": 3})
    assert [record["name"] for record in repository.find(weights_id=None)] == ["a"]


@pytest.mark.parametrize("record_id", [0, -1, 2, 10**30])
def test_an_unknown_id_is_named(repository, record_id):
    repository.add({"name": "a"})
    for use in (repository.get, repository.delete, lambda record_id: repository.update(record_id, name="b")):
        with pytest.raises(NotFound) as caught:
            use(record_id)
        assert str(caught.value) == f"There is no project {record_id}."
    assert repository.all() == [{"id": 1, "name": "a"}]


def test_an_update_keeps_the_other_fields(repository, first_file):
    repository.add({"name": "a", "task_id": 1})
    repository.add({"name": "b", "task_id": 1})
    assert repository.update(1, name="c") == {"id": 1, "name": "c", "task_id": 1}
    assert repository.get(1) == {"id": 1, "name": "c", "task_id": 1}
    assert list(json.loads(first_file.read_bytes())["projects"]) == ["1", "2"], "the order in the file stays"


def test_a_transform_may_drop_fields(repository):
    repository.add({"name": "a", "task_id": 1})
    assert repository.transform(1, lambda record: {"name": record["name"] * 2}) == {"id": 1, "name": "aa"}
    assert repository.get(1) == {"id": 1, "name": "aa"}


def test_a_transform_that_fails_changes_nothing_and_blocks_nobody(repository):
    repository.add({"classes": ["a"]})

    def fail(record):
        record["classes"].append("b")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repository.transform(1, fail)
    assert repository.get(1) == {"id": 1, "classes": ["a"]}
    assert repository.add({})["id"] == 2


def test_an_id_cannot_be_changed(repository):
    repository.add({"name": "a"})
    with pytest.raises(ValueError, match="The id of project 1 cannot be changed to 2"):
        repository.update(1, id=2)
    assert repository.update(1, id=1, name="b") == {"id": 1, "name": "b"}


def test_ids_are_not_used_again(repository):
    repository.add({})
    repository.add({})
    repository.delete(2)
    assert repository.add({})["id"] == 3
    for record in repository.all():
        repository.delete(record["id"])
    assert repository.add({})["id"] == 4


def test_a_reserved_id_is_given_once(repository):
    reserved = repository.reserve_id()
    other = repository.add({"name": "other"})
    assert other["id"] != reserved
    assert repository.add({"id": reserved, "name": "mine"}) == {"id": reserved, "name": "mine"}
    assert repository.get(reserved) == {"id": reserved, "name": "mine"}
    for wrong in (reserved, other["id"], other["id"] + 1, 0, -1):
        with pytest.raises(ValueError, match=f"The id {wrong} was not reserved for a new project"):
            repository.add({"id": wrong})
    assert len(repository.all()) == 2


def test_an_id_was_assigned_however_it_was(repository):
    reserved = repository.reserve_id()
    deleted = repository.add({})["id"]
    repository.delete(deleted)
    repository.add_missing([{"id": 7}])
    present = repository.add({})["id"]
    assert [number for number in range(1, 12) if repository.was_assigned(number)] == list(range(1, present + 1))
    assert {reserved, deleted, 7, present} <= set(range(1, present + 1))


def test_what_is_returned_and_taken_are_copies(repository, first_file, settle):
    given = {"classes": ["a"], "splits": {"test": 1}}
    returned = repository.add(given)
    given["classes"].append("given")
    returned["classes"].append("returned")
    settle(first_file)
    for read in (lambda: repository.get(1), lambda: repository.all()[0], lambda: repository.update(1)):
        record = read()
        assert record == {"id": 1, "classes": ["a"], "splits": {"test": 1}}
        record["classes"].append("b")
        record["splits"]["test"] = 2
    assert repository.get(1) == {"id": 1, "classes": ["a"], "splits": {"test": 1}}


def test_what_add_returns_is_what_will_be_read(repository):
    assert repository.add({"classes": ("a", "b"), "score": float("nan")}) == repository.get(1)
    assert repository.get(1)["classes"] == ["a", "b"]


def test_what_json_cannot_hold_is_refused_and_takes_no_id(repository):
    with pytest.raises(TypeError):
        repository.add({"settings": {1: "a"}})
    assert repository.all() == []
    assert repository.add({})["id"] == 1


def test_what_a_person_wrote_into_the_file_is_read(repository, first_file, settle):
    repository.add({"name": "before"})
    settle(first_file)
    assert repository.get(1)["name"] == "before"
    first_file.write_text(first_file.read_text().replace("before", "edited"))
    assert repository.get(1)["name"] == "edited"
    assert repository.update(1, task_id=2) == {"id": 1, "name": "edited", "task_id": 2}


def test_a_record_that_a_person_wrote_keeps_its_id_and_is_not_numbered_again(repository, first_file):
    first_file.write_text('{"projects": {"3": {"name": "by hand", "id": 4}, "1": {"name": "too"}}}')
    assert repository.all() == [{"id": 1, "name": "too"}, {"id": 3, "name": "by hand"}]
    repository.delete(3)
    assert [repository.add({})["id"] for _ in range(2)] == [4, 5]


def test_many_records_change_with_one_write_of_each_file(repository, first_file):
    for name in "abcde":
        repository.add({"name": name})
    before = first_file.stat().st_ino
    repository.update_each([5, 1, 9, 2], name="z")
    assert [record["name"] for record in repository.all()] == ["z", "z", "c", "d", "z"]
    assert first_file.stat().st_ino != before
    assert [record["id"] for record in repository.find(name="z")] == [1, 2, 5]


def test_a_selection_is_as_long_as_all_and_reads_what_is_asked_for(repository):
    for name in "abacada":
        repository.add({"name": name, "task_id": 1})
    for equals in ({}, {"name": "a"}, {"name": "a", "task_id": 1}, {"task_id": 1}, {"task_id": 2}, {"id": 2}):
        selection = repository.select(**equals)
        assert len(selection) == len(repository.find(**equals)), equals
        assert selection[1:3] == repository.find(**equals)[1:3]
    assert repository.select(name="a")[1] == repository.get(3)
    assert list(repository.select(name="a").map(lambda record: record["id"])) == [1, 3, 5, 7]


def test_a_record_that_is_deleted_before_it_is_read_is_left_out(repository):
    for _ in range(3):
        repository.add({})
    selection = repository.select()
    first = selection[:1]
    repository.delete(2)
    assert first + selection[1:] == [{"id": 1}, {"id": 3}]


def test_records_are_found_by_what_they_are_now(repository):
    repository.add({"name": "a"})
    assert repository.find(name="a")
    repository.update(1, name="b")
    assert repository.find(name="a") == [] and repository.find(name="b") == [repository.get(1)]
    repository.delete(1)
    assert repository.find(name="b") == []


def test_what_a_person_wrote_into_a_field_is_found_whatever_it_is(repository, first_file):
    first_file.write_text('{"projects": {"1": {"name": ["a"]}, "2": {"name": {"b": 1}}, "3": {"name": 1.5}}}')
    for name in (["a"], {"b": 1}, 1.5):
        assert [record["name"] for record in repository.find(name=name)] == [name]


@pytest.mark.parametrize("notes", ['{"last_id": "many"}', '{"seeded_ids": 3}', '{"seeded_ids": ["1"]}'])
def test_notes_of_ids_that_a_person_broke_are_named(repository, first_file, notes):
    text = f'{{"assigned_ids": {{"1": {notes}}}}}'
    first_file.write_text(text)
    with pytest.raises(StorageUnavailable, match=r"\.json has a fault in its assigned_ids"):
        repository.add({})
    assert first_file.read_text() == text


def test_missing_records_are_added_with_their_ids(repository):
    seeds = [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}]
    assert repository.add_missing(seeds) == seeds
    assert repository.all() == seeds
    assert repository.add({})["id"] == 6


def test_what_a_person_changed_or_deleted_is_not_seeded_again(repository):
    repository.add_missing([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    repository.update(1, name="mine")
    repository.delete(2)
    assert repository.add_missing([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]) == []
    assert repository.all() == [{"id": 1, "name": "mine"}]


def test_what_a_person_deleted_in_the_file_is_not_seeded_again(repository, first_file):
    repository.add_missing([{"id": 1}, {"id": 2}])
    tables = json.loads(first_file.read_bytes())
    del tables["projects"]["2"]
    first_file.write_text(json.dumps(tables))
    assert repository.add_missing([{"id": 1}, {"id": 2}]) == []


def test_a_new_version_may_fill_a_gap_between_its_ids(repository):
    repository.add_missing([{"id": 1}, {"id": 10}])
    assert repository.add_missing([{"id": 1}, {"id": 4}, {"id": 10}]) == [{"id": 4}]


def test_an_id_that_a_person_got_is_never_seeded(repository):
    repository.add_missing([{"id": 1, "name": "shipped"}])
    repository.delete(repository.add({"name": "mine"})["id"])
    assert repository.add_missing([{"id": 2, "name": "shipped later"}]) == []


def test_seeding_again_does_not_touch_the_file(repository, first_file):
    repository.add_missing([{"id": 1, "name": "a"}])
    edited = first_file.read_bytes().replace(b"  ", b"\t")
    first_file.write_bytes(edited)
    before = first_file.stat()
    repository.add_missing([{"id": 1, "name": "a"}])
    assert (first_file.stat().st_ino, first_file.read_bytes()) == (before.st_ino, edited)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "reserve"])),
        st.tuples(st.sampled_from(["delete", "update", "seed", "add reserved"]), st.integers(1, 9)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, part_size=st.sampled_from([None, 1, 2, 5]))
def test_ids_are_given_once_and_records_kept_whatever_the_order(tmp_path_factory, steps, part_size):
    placement = Placement(tmp_path_factory.mktemp("db"), "projects", part_size)
    prepare(placement)
    repository = Repository(Table(placement, [("count",)]), "project")
    expected: dict[int, int] = {}
    given_ids: set[int] = set()
    reserved: set[int] = set()
    for count, (verb, *number) in enumerate(steps):
        if verb in ("add", "reserve"):
            record_id = repository.add({"count": count})["id"] if verb == "add" else repository.reserve_id()
            assert record_id not in given_ids
            given_ids.add(record_id)
            if verb == "add":
                expected[record_id] = count
            else:
                reserved.add(record_id)
        elif verb == "seed":
            added = repository.add_missing([{"id": number[0], "count": count}])
            assert not added or number[0] not in given_ids
            expected.update({record["id"]: count for record in added})
            given_ids.add(number[0])
        elif verb == "add reserved" and number[0] in reserved:
            repository.add({"id": number[0], "count": count})
            reserved.remove(number[0])
            expected[number[0]] = count
        elif number[0] in expected and verb == "delete":
            repository.delete(number[0])
            del expected[number[0]]
        elif number[0] in expected and verb == "update":
            repository.update(number[0], count=count)
            expected[number[0]] = count
        assert {record["id"]: record["count"] for record in repository.all()} == expected


def test_records_of_users_leave_room_for_those_that_come_with_later_versions(repository):
    repository.add_missing([{"id": 1, "name": "shipped"}])
    own = repository.add({"id": repository.reserve_id(1001), "name": "own"})
    assert own["id"] == 1001 and repository.reserve_id(1001) == 1002

    assert repository.add_missing([{"id": 2, "name": "new"}, {"id": 1001, "name": "no"}]) == [{"id": 2, "name": "new"}]
    repository.delete(2)
    repository.delete(1001)
    assert repository.add_missing([{"id": 2, "name": "new"}, {"id": 1001, "name": "no"}]) == []
