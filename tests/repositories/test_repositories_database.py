import pytest

from app.errors import NotFound, StorageUnavailable
from app.repositories.database import Database

CATALOGUES = ["allowed_properties", "models", "properties", "tasks", "tokens"]
REGISTERS = ["datasets", "inferences", "projects", "weights"]


def test_each_table_has_a_file_of_its_own_from_the_start(tmp_path):
    folder = tmp_path / "storage" / "db"
    Database(folder)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json"))
    assert files == sorted([f"{name}.json" for name in CATALOGUES] + [f"{name}/1-100.json" for name in REGISTERS])


def test_opening_again_keeps_the_records(tmp_path):
    project = {"name": "a", "task_id": 1, "modelweights_id": None, "inference_id": None}
    Database(tmp_path).projects.add(project)
    database = Database(tmp_path)
    assert database.projects.all() == [project | {"id": 1}]
    assert database.datasets.all() == []


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("tasks", "There is no task 7."),
        ("properties", "There is no property 7."),
        ("models", "There is no model 7."),
        ("allowed_properties", "There is no allowed property 7."),
        ("datasets", "There is no dataset 7."),
        ("projects", "There is no project 7."),
        ("weights", "There is no weights entry 7."),
        ("inferences", "There is no inference 7."),
    ],
)
def test_each_table_has_its_word_in_sentences(tmp_path, table, sentence):
    with pytest.raises(NotFound) as caught:
        getattr(Database(tmp_path), table).get(7)
    assert str(caught.value) == sentence


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "storage").touch()
    with pytest.raises(StorageUnavailable, match=r"storage/db cannot be made \(Not a directory\)"):
        Database(tmp_path / "storage" / "db")
