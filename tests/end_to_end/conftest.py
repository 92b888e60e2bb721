"""A real service for the tests of this folder: Redis, gunicorn and both workers, started as a user starts them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import urllib3
from PIL import Image
from redis import Redis
from redis.exceptions import RedisError
from waiting import PATIENCE_SECONDS, wait_until

from app.embedded_redis import server_binary

CLONE = Path(__file__).resolve().parents[2]
READY = re.compile(r"(http://[\w.]+:\d+)/backend/docs")


class Client:
    """Speaks to the API as a user's script does."""

    def __init__(self, base: str):
        self.base = base
        self._http = urllib3.PoolManager(maxsize=20)

    def send(self, method: str, path: str, body=None, **options):
        """Return status and JSON (None without a body)."""
        if body is not None:
            options |= {"body": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        answer = self._http.request(
            method, f"{self.base}/backend{path}", retries=False, timeout=PATIENCE_SECONDS, **options
        )
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(answer.data) if is_json else answer.data or None

    def get(self, path: str):
        status, answer = self.send("GET", path)
        assert status == 200, answer
        return answer

    def post(self, path: str, body=None, **options):
        status, answer = self.send("POST", path, body, **options)
        assert status in (200, 201), answer
        return answer

    def status(self, process_id: str) -> dict:
        return self.get(f"/status?process_id={process_id}")["status"]

    def wait(self, process_id: str, reached=lambda status: status["process_status"] != "running") -> dict:
        """Poll the status, as clients do, until it is as wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached(status := self.status(process_id)):
            assert time.monotonic() < deadline, status
            assert status["process_status"] == "running", status
            time.sleep(0.05)
        return status


class Service:
    """One `dht serve`."""

    def __init__(self, folder: Path, data_root: Path, **environment: str):
        self.storage = folder / "storage"
        self.log = folder / "serve.log"
        settings = {
            "PORT": "0",
            "STORAGE_DIR": str(self.storage),
            "DATA_ROOTS": str(data_root),
            "URL_HOSTS": "127.0.0.1",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "HOST")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                cwd=CLONE,
                env=inherited | settings | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.client = Client(wait_until(self._address))

    def _address(self) -> str | None:
        found = READY.search(self.log.read_text(errors="replace"))
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        return found.group(1) if found else None

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)


class RedisProgram:
    """A Redis server that can go away and come back with what it held."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", self._socket, "--appendonly", "yes", "--dir", self._folder]
        command = [str(part) for part in (server_binary(), *options)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError), Redis.from_url(self.url) as connection:
            return connection.ping()
        return False


@pytest.fixture(scope="module")
def redis_program():
    with tempfile.TemporaryDirectory(prefix="dht-", dir=min("/tmp", tempfile.gettempdir(), key=len)) as folder:
        program = RedisProgram(Path(folder))
        program.start()
        yield program
        program.stop()


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def service(tmp_path_factory, data_root):
    service = Service(tmp_path_factory.mktemp("service"), data_root)
    yield service
    assert service.stop() == 0, service.log.read_text(errors="replace")


@pytest.fixture(scope="session")
def client(service) -> Client:
    return service.client


@pytest.fixture(scope="session")
def sides_yaml(data_root) -> Path:
    """Write 46 grey images, bright on the left or on the right; 23 of them in the test split, in a shuffled order."""
    folder = data_root / "sides"
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for index in range(46):
        pixels = generator.integers(0, 60, (12, 14), dtype=np.uint8)
        side = index % 2
        pixels[:, :7] += np.uint8(150 * (side == 0))
        pixels[:, 7:] += np.uint8(150 * (side == 1))
        Image.fromarray(pixels).save(folder / f"{index}.png")
        lines.append(f"  - {{location: {index}.png, label: {('left', 'right')[side]}}}")
    test = generator.permutation(np.arange(23, 46)).tolist()
    split = f"split:\n  training: {list(range(15))}\n  validation: {list(range(15, 23))}\n  test: {test}\n"
    path = folder / "sides.yml"
    path.write_text("name: Sides\nclasses: [left, right]\nimages:\n" + "\n".join(lines) + "\n" + split)
    return path


@pytest.fixture(scope="session")
def discs_yaml(data_root) -> Path:
    """Write 10 colour images of 40 x 36 pixels with a disc each, and their masks."""
    folder = data_root / "discs"
    folder.mkdir()
    rows, columns = np.mgrid[:36, :40]
    generator = np.random.default_rng(0)
    lines = []
    for index in range(10):
        row, column = generator.integers(10, 26, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 64
        pixels = np.where(disc[..., None], (200, 120, 60), (20, 30, 40)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        Image.fromarray((disc * 255).astype(np.uint8)).save(folder / f"{index}_mask.png")
        lines.append(f"  - {{location: {index}.png, label: {index}_mask.png}}")
    split = "split: {training: [0, 1, 2, 3, 4], validation: [5, 6], test: [9, 7, 8]}\n"
    path = folder / "discs.yml"
    path.write_text("name: Discs\nclasses: [disc]\nimages:\n" + "\n".join(lines) + "\n" + split)
    return path


@pytest.fixture(scope="session")
def sides(client, sides_yaml) -> dict:
    return client.post("/datasets", {"name": "Sides", "task_id": 1, "path": str(sides_yaml)})


@pytest.fixture(scope="session")
def discs(client, discs_yaml) -> dict:
    return client.post("/datasets", {"name": "Discs", "task_id": 2, "path": str(discs_yaml)})


@pytest.fixture(scope="session")
def project(client) -> dict:
    return client.post("/projects", {"name": "Classify", "task_id": 1, "modelweights_id": None})


@pytest.fixture(scope="session")
def trained(client, sides, project) -> dict:
    """Train LeNet once; the answer of /train."""
    answer = client.post("/train", training(sides, project, Epochs="8", Learning_rate="3e-3"))
    status = client.wait(answer["process_id"])
    assert status["process_status"] == "finished", status
    return answer


def training(dataset: dict, project: dict, model_id: int = 1, weights_id: int | None = None, **properties) -> dict:
    """Return the body of /train with these properties."""
    listed = [{"name": name, "value": value} for name, value in properties.items()]
    return {
        "dataset_id": dataset["id"],
        "model_id": model_id,
        "project_id": project["id"],
        "weights_id": weights_id,
        "properties": listed,
    }
