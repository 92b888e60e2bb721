import json
from importlib.resources import files

import pytest

from app.repositories.database import Database
from app.repositories.seeds import SEEDED, seed


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "zoo"
    folder.mkdir()
    for name in SEEDED:
        (folder / f"{name}.json").write_text(json.dumps(shipped(name)))
    return folder


def shipped(name):
    """Return two records as the shipped ones of this name are."""
    first, second, *_ = json.loads((files("app.zoo") / f"{name}.json").read_bytes())
    return [first, second]


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "db")


def test_every_catalogue_is_filled(database, folder):
    seed(database, folder)
    for name in SEEDED:
        assert getattr(database, name).all() == shipped(name)


def test_the_next_start_changes_nothing_that_a_person_edited(database, folder):
    seed(database, folder)
    database.models.update(1, name="mine")
    database.models.delete(2)
    seed(database, folder)
    assert database.models.all() == [shipped("models")[0] | {"name": "mine"}]


def test_a_new_version_brings_what_it_ships(database, folder):
    seed(database, folder)
    first, second = shipped("models")
    (folder / "models.json").write_text(
        json.dumps([first | {"name": "changed"}, second, first | {"id": 3, "name": "new"}])
    )
    seed(database, folder)
    assert database.models.get(1)["name"] == first["name"]
    assert database.models.get(3)["name"] == "new"


def test_the_shipped_records_fit_together(database):
    seed(database)
    assert database.tasks.all() == [{"id": 1, "name": "Classification"}, {"id": 2, "name": "Segmentation"}]
    assert [record["name"] for record in database.properties.all()][:7] == [
        "Learning rate",
        "Loss function",
        "Epochs",
        "Batch size",
        "Metric",
        "Input height",
        "Input width",
    ]
    for model in database.models.all():
        assert database.tasks.get(model["task_id"])
    for rule in database.allowed_properties.all():
        assert database.models.get(rule["model_id"])
        assert database.properties.get(rule["property_id"])
