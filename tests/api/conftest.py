"""The application in this process, with real records, a real queue and a small real dataset."""

import pytest
from api_sandbox import ORIGIN, give_file, write_tiny_dataset

from app import create_app
from app.settings import Settings


@pytest.fixture
def data_root(tmp_path):
    """A folder with a dataset of eight images of two classes: `tiny.yml`."""
    return write_tiny_dataset(tmp_path / "data")


@pytest.fixture
def settings(tmp_path, data_root, redis_url):
    return Settings(
        storage_dir=tmp_path / "storage", redis_url=redis_url, data_roots=(data_root,), cors_origins=(ORIGIN,)
    )


@pytest.fixture
def app(settings):
    return create_app(settings)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def toolkit(app):
    """The services behind the application, to prepare what requests cannot."""
    return app.extensions["toolkit"]


@pytest.fixture
def project(client):
    return client.post("/backend/projects", json={"name": "lab", "task_id": 1}).json


@pytest.fixture
def dataset(client, data_root):
    answer = client.post("/backend/datasets", json={"name": "Tiny", "task_id": 1, "path": str(data_root / "tiny.yml")})
    assert answer.status_code == 201, answer.json
    return answer.json


@pytest.fixture
def training(client, project, dataset):
    """The answer of a training that waits in the queue."""
    answer = client.post(
        "/backend/train",
        json={"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"], "properties": []},
    )
    assert answer.status_code == 201, answer.json
    return answer.json


@pytest.fixture
def weights(toolkit, training):
    """Weights as they are once their training has saved an epoch."""
    return give_file(toolkit, training["weight_id"], training["process_id"])
