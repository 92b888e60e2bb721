import json
import subprocess
import sys
from pathlib import Path

import pytest
from tinydb import TinyDB

from app.errors import StorageUnavailable
from app.files import write_atomically
from app.repositories import table as table_module
from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import PARTS_IN_MEMORY, Table

CLONE_FOLDER = Path(__file__).parent.parent.parent


@pytest.fixture
def table(placement) -> Table:
    return Table(placement)


def test_an_unchanged_part_is_served_from_memory(repository, table, first_file, settle):
    repository.add({"name": "a"})
    settle(first_file)
    assert table.content(1) is table.content(1)


def test_a_part_changed_a_moment_ago_is_not_yet_served_from_memory(repository, table):
    """Its next change may fall into the same tick of the file system's clock and leave the same stamp."""
    repository.add({"name": "a"})
    assert table.content(1) is not table.content(1)


def test_a_transaction_is_not_seen_before_it_ends(table, first_file):
    with table.transaction() as draft:
        draft.part(1).insert({"name": "a"})
        assert table.content(1).record(1) is None
        assert json.loads(first_file.read_bytes()) == {}
    assert table.content(1).record(1) == {"name": "a"}


def test_a_transaction_that_raises_leaves_the_file(table, first_file):
    with pytest.raises(KeyboardInterrupt), table.transaction() as draft:
        draft.part(1).insert({"name": "a"})
        raise KeyboardInterrupt
    assert json.loads(first_file.read_bytes()) == {}
    with table.transaction():
        pass  # the lock is free again


def test_a_transaction_without_a_change_does_not_write(table, first_file):
    before = first_file.stat().st_ino
    with table.transaction() as draft:
        draft.part(1).all()
    assert first_file.stat().st_ino == before


def test_what_a_killed_writer_left_is_in_nobody_s_way(repository, placement, names_beside):
    placement.temporary.write_bytes(b'{"projects": {"1": {"na')
    repository.add({})
    assert placement.temporary.name not in names_beside(placement.temporary)
    assert repository.all() == [{"id": 1}]


@pytest.mark.parametrize("part_size", [1, 3])
def test_each_part_holds_its_own_ids_and_is_a_file_that_tinydb_reads(tmp_path, part_size):
    placement = Placement(tmp_path, "projects", part_size)
    prepare(placement)
    repository = Repository(Table(placement), "project")
    for _ in range(7):
        repository.add({})
    files = [placement.path(number) for number in placement.present()]
    assert [file.name for file in files] == {1: [f"{i}-{i}.json" for i in range(1, 8)],
                                             3: ["1-3.json", "4-6.json", "7-9.json"]}[part_size]  # fmt: skip
    found = []
    for file in files:
        with TinyDB(file) as database:
            found += [document.doc_id for document in database.table("projects")]
    assert found == list(range(1, 8))


@pytest.fixture
def two_tables(tmp_path):
    """The same table of many parts, as two processes have it."""
    placement = Placement(tmp_path, "projects", 1)
    prepare(placement)
    repositories = [Repository(Table(placement, [("name",)]), "project") for _ in range(2)]
    for number in range(table_module.FEW_PARTS + 4):
        repositories[0].add({"name": f"project {number}"})
    return repositories


def test_a_process_finds_at_once_what_another_one_changed(two_tables, monkeypatch):
    monkeypatch.setattr(table_module, "LOOK_AGAIN_SECONDS", 3600.0)
    mine, other = two_tables
    assert other.all() == mine.all()
    mine.update(3, name="b")
    mine.update(3, name="c")
    mine.delete(5)
    mine.add({"name": "new"})
    assert [record["id"] for record in other.find(name="c")] == [3]
    assert other.find(name="project 4") == [] and len(other.find(name="new")) == 1
    assert other.all() == mine.all()
    assert other.add({})["id"] == mine.all()[-1]["id"]


def test_a_change_is_found_whenever_its_writer_is_looked_at(two_tables, monkeypatch):
    """The note of a change comes first: who reads it may come before the change itself."""
    monkeypatch.setattr(table_module, "LOOK_AGAIN_SECONDS", 3600.0)
    mine, other = two_tables

    def look_in_between(path, text, temporary):
        assert [record["id"] for record in other.find(name="late")] == []
        write_atomically(path, text, temporary)

    monkeypatch.setattr(table_module, "write_atomically", look_in_between)
    mine.update(3, name="late")
    assert [record["id"] for record in other.find(name="late")] == [3]
    monkeypatch.undo()


def test_an_edit_by_hand_is_found_in_a_while(two_tables, tmp_path, monkeypatch):
    mine, _ = two_tables
    path = tmp_path / "projects" / "2-2.json"
    path.write_text(path.read_text().replace("project 1", "edited"))
    assert mine.get(2)["name"] == "edited"
    path.write_text(path.read_text().replace("edited", "again"))
    monkeypatch.setattr(table_module, "LOOK_AGAIN_SECONDS", 0.0)
    assert [record["id"] for record in mine.find(name="again")] == [2]


def test_without_its_notes_every_part_is_looked_at(two_tables, tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "LOOK_AGAIN_SECONDS", 3600.0)
    mine, other = two_tables
    assert other.all()
    (tmp_path / "projects" / ".changes").unlink()
    mine.update(2, name="z")
    mine.update(4, name="z")
    assert [record["id"] for record in other.find(name="z")] == [2, 4]


def test_memory_holds_the_content_of_some_parts_only(tmp_path):
    placement = Placement(tmp_path, "projects", 1)
    prepare(placement)
    table = Table(placement)
    repository = Repository(table, "project")
    for _ in range(PARTS_IN_MEMORY + 5):
        repository.add({})
    assert len(repository.all()) == PARTS_IN_MEMORY + 5
    assert len(table._contents) == PARTS_IN_MEMORY


def test_a_part_that_cannot_be_read_hides_nothing_else(two_tables, tmp_path):
    path = tmp_path / "projects" / "3-3.json"
    text = path.read_text()
    path.write_text(text[:-5])
    fresh = Repository(Table(Placement(tmp_path, "projects", 1), [("name",)]), "project")
    for use in (fresh.all, lambda: fresh.add({}), lambda: fresh.find(name="a"), lambda: fresh.get(3)):
        with pytest.raises(StorageUnavailable, match=r"3-3\.json holds no valid JSON"):
            use()
    assert fresh.get(4)["name"] == "project 3"
    path.write_text(text)
    assert fresh.get(3)["name"] == "project 2"
    assert fresh.all() == two_tables[0].all()


def test_a_part_that_vanished_is_an_error_and_not_a_gap(two_tables, tmp_path):
    (tmp_path / "projects" / "3-3.json").unlink()
    for repository in (two_tables[0], Repository(Table(Placement(tmp_path, "projects", 1)), "project")):
        with pytest.raises(StorageUnavailable, match=r"3-3\.json is gone"):
            repository.all()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"holds no valid JSON \(line 1, column 1"),
        ('{"projects": {"1": {"name": "a"}}', r"holds no valid JSON \(line 1, column 3"),
        ("[]", "is no table: an object like"),
        ("null", "is no table: an object like"),
        ('{"projects": []}', "is no table: an object like"),
        ('{"projects": {"one": {}}}', "is no table: at 'one' an entry like"),
        ('{"projects": {"0": {}}}', "is no table: at '0' an entry like"),
        ('{"projects": {"07": {}}}', "is no table: at '07' an entry like"),
        ('{"projects": {"7": "demo"}}', "is no table: at '7' an entry like"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_and_never_overwritten(repository, first_file, text, fault):
    repository.add({"name": "a"})
    first_file.write_text(text)
    uses = (repository.all, lambda: repository.get(1), lambda: repository.add({}), lambda: repository.delete(1))
    for use in uses:
        with pytest.raises(StorageUnavailable, match=rf"{first_file} {fault}"):
            use()
    assert first_file.read_text() == text
    first_file.write_text('{"projects": {"1": {"name": "mended"}}}')
    assert repository.get(1)["name"] == "mended"


def test_a_file_that_vanished_is_an_error_and_not_an_empty_table(repository, first_file):
    repository.add({"name": "a"})
    first_file.unlink()
    for use in (repository.all, lambda: repository.add({})):
        with pytest.raises(StorageUnavailable, match=r"\.json is gone"):
            use()
    assert not first_file.exists()


def test_making_the_table_again_keeps_it(repository, placement, first_file):
    repository.add({"name": "a"})
    before = first_file.read_bytes()
    prepare(placement)
    assert first_file.read_bytes() == before


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from app.errors import StorageUnavailable
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table

folder, part_size = Path(sys.argv[1]), int(sys.argv[2]) or None
placement = Placement(folder, "projects", part_size)
path, repository = placement.path(1), Repository(Table(placement), "project")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, resource.RLIM_INFINITY))
for change in (lambda: repository.add({"name": "b" * 100}), lambda: repository.update(1, name="b" * 100)):
    try:
        change()
    except StorageUnavailable as error:
        print(error)
print(repository.all())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(repository.add({"name": "c"}))
"""


def test_on_a_full_disk_a_change_is_refused_and_all_is_as_it_was(placement, first_file, repository, names_beside):
    """The limit on file sizes fails a real write in its middle, as a full disk does."""
    repository.add({"name": "a"})
    before = names_beside(first_file)
    command = [sys.executable, "-c", FILL_THE_DISK, str(placement.folder), str(placement.part_size or 0)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CLONE_FOLDER)
    refusal = f"{first_file} cannot be written (File too large); give it room and access, then try again."
    assert ended.stdout.splitlines() == [
        refusal,
        refusal,
        "[{'name': 'a', 'id': 1}]",
        "{'name': 'c', 'id': 2}",
    ]
    assert names_beside(first_file) == before


def test_a_file_of_far_records_keeps_nobody_waiting(tmp_path):
    placement = Placement(tmp_path, "projects", 1)
    prepare(placement)
    placement.path(10**15).write_text("{}")

    with pytest.raises(StorageUnavailable, match=r"2-2\.json is gone"):
        Repository(Table(placement), "project").load()
