import json

import pytest

from app.repositories.database import Database
from app.repositories.seeds import SEEDED, seed


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "zoo"
    folder.mkdir()
    for name in SEEDED:
        (folder / f"{name}.json").write_text(json.dumps([{"id": 1, "name": f"first of {name}"}, {"id": 2}]))
    return folder


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "db")


def test_every_catalogue_is_filled(database, folder):
    seed(database, folder)
    for name in SEEDED:
        assert getattr(database, name).all() == [{"id": 1, "name": f"first of {name}"}, {"id": 2}]


def test_the_next_start_changes_nothing_that_a_person_edited(database, folder):
    seed(database, folder)
    database.models.update(1, name="mine")
    database.models.delete(2)
    seed(database, folder)
    assert database.models.all() == [{"id": 1, "name": "mine"}]


def test_a_new_version_brings_what_it_ships(database, folder):
    seed(database, folder)
    (folder / "models.json").write_text('[{"id": 1, "name": "changed"}, {"id": 2}, {"id": 3, "name": "new"}]')
    seed(database, folder)
    assert database.models.get(1)["name"] == "first of models"
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
