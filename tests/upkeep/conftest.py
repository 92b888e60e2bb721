"""A storage folder with a bit of everything, made without a service: real records, weights with checksums, runs."""

import pytest
from upkeep_sample import INFERENCE, INFERRED, TRAINED, TRAINING, WAITING, add_run, save_weights

from app.repositories.database import Database
from app.repositories.seeds import seed
from app.runs.layout import StorageLayout
from app.runs.state import FINISHED, QUEUED

ORIGIN = {"source": "images.yml", "colour_type": None}
DESCRIPTION = "classes: [a, b]\nimages:\n  - {location: 0.png, label: a}\n"


@pytest.fixture
def root(tmp_path):
    """Dataset 1, project 1, weights 1 (trained) and 2 (their training waits), and inference 1."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "0.png").touch()
    storage = StorageLayout(tmp_path / "storage")
    storage.create()
    database = Database(storage.records)
    seed(database)
    storage.dataset(1).mkdir()
    storage.description(1).write_text(DESCRIPTION)
    database.datasets.add(
        {"name": "D", "task_id": 1, "path": str(storage.description(1)), "folder": str(images), **ORIGIN}
    )
    database.projects.add({"name": "P", "task_id": 1, "modelweights_id": 1, "inference_id": 1})
    for process_id, state in ((TRAINED, FINISHED), (WAITING, QUEUED)):
        weights_id = database.weights.reserve_id()
        folder = storage.weights(weights_id)
        folder.path.mkdir()
        folder.log.write_text("log\n")
        add_run(storage, process_id, state, TRAINING | {"weights_id": weights_id})
        entry = {
            "id": weights_id,
            "name": "W",
            "model_id": 1,
            "task_id": 1,
            "dataset_id": 1,
            "pretrained_on": None,
            "settings": {},
        }
        database.weights.add({**entry, "project_id": 1, "process_id": process_id, "logfile": str(folder.log)})
    save_weights(storage, 1)
    database.weights.update(1, has_file=True)
    add_run(storage, INFERRED, FINISHED, INFERENCE)
    inference = {"modelweights_id": 1, "dataset_id": 1, "project_id": 1, "process_id": INFERRED}
    database.inferences.add(inference)
    return storage.root


@pytest.fixture
def storage(root):
    return StorageLayout(root)


@pytest.fixture
def database(storage):
    return Database(storage.records)
