"""A storage folder of version 0.1, in which each table was one file, becomes what this version keeps."""

import json
import shutil
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.repositories import old_layout
from app.repositories.database import Database

OLD = Path(__file__).parent.parent / "data" / "storage_of_0.1" / "db"
REGISTERS = ["datasets", "inferences", "projects", "weights"]


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(OLD, tmp_path / "db"))


def stored_before(name: str) -> list[dict]:
    records = json.loads((OLD / f"{name}.json").read_bytes()).get(name, {})
    return [{**record, "id": int(key)} for key, record in sorted(records.items(), key=lambda item: int(item[0]))]


def assert_complete(database: Database) -> None:
    for name in (*REGISTERS, "tasks", "models", "properties", "allowed_properties"):
        assert getattr(database, name).all() == stored_before(name)


def test_every_record_is_there_and_no_id_is_given_again(folder):
    database = Database(folder)
    assert_complete(database)
    assert database.projects.add({})["id"] == 216, "215 was deleted"
    assert database.weights.add({"id": 2})["id"] == 2, "2 was reserved"
    assert database.weights.add({})["id"] == 4
    assert database.datasets.add_missing([{"id": 1}, {"id": 2}]) == []
    assert database.inferences.add({})["id"] == 1
    assert [path.name for path in sorted((folder / "projects").glob("*.json"))] == [
        "1-100.json",
        "101-200.json",
        "201-300.json",
    ]


def test_the_old_files_stay_beside_and_are_not_read_again(folder):
    Database(folder).projects.update(1, name="changed")
    database = Database(folder)
    assert database.projects.get(1)["name"] == "changed"
    for name in REGISTERS:
        assert (folder / f"{name}.json.old").read_bytes() == (OLD / f"{name}.json").read_bytes()
        assert not (folder / f"{name}.json").exists()


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_start_that_was_killed_at_any_step_is_repeated(tmp_path, monkeypatch):
    steps = 0

    def killing(function):
        def step(*arguments, **keywords):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*arguments, **keywords)

        return step

    while True:
        folder = Path(shutil.copytree(OLD, tmp_path / f"killed after {steps}"))
        left = steps
        with monkeypatch.context() as patch:
            for owner, name in ((old_layout, "write_json"), (Path, "rename"), (Path, "replace"), (Path, "mkdir")):
                patch.setattr(owner, name, killing(getattr(owner, name)))
            try:
                Database(folder)
                break
            except Killed:
                steps += 1
        assert_complete(Database(folder))
        assert not list(folder.glob(".*")), "nothing unfinished is left"
    assert steps > 20


def test_an_old_file_that_cannot_be_understood_is_named_and_kept(folder):
    (folder / "projects.json").write_text('{"projects": {')
    with pytest.raises(StorageUnavailable, match=r"db/projects\.json holds no valid JSON"):
        Database(folder)
    assert (folder / "projects.json").read_text() == '{"projects": {'
    shutil.copy(OLD / "projects.json", folder)
    assert_complete(Database(folder))
