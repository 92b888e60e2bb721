"""The application in this process, with real records, a real queue and a small real dataset."""

import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from api_sandbox import ORIGIN, give_file, write_tiny_dataset
from redis import Redis

from app import create_app
from app.embedded_redis import server_binary
from app.settings import Settings


@pytest.fixture
def redis_url(redis_server):
    """The address of a Redis server without jobs."""
    with Redis.from_url(redis_server) as connection:
        connection.flushall()
    return redis_server


@pytest.fixture(scope="session")
def redis_server():
    """A Redis server for the session, on a socket with a short path."""
    with tempfile.TemporaryDirectory(prefix="dht-") as folder:
        path = Path(folder) / "redis.sock"
        command = [server_binary(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL) as server:
            _wait_for_socket(path)
            yield f"unix://{path}"
            server.terminate()


def _wait_for_socket(path):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as connection:
            if connection.connect_ex(str(path)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"Redis does not listen on {path}.")


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
