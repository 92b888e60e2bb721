"""What requests cost with much stored, beside what they cost with little: python benchmarks/storage.py [TRAININGS].

For each size a real service of four web workers is started on loopback over a storage folder that is filled as the
service itself fills it, with records, weights folders and run folders. Prints the median of each request, how it grows,
the memory of the web processes and the time from start to the first answer. TRAININGS is 100,000 by default; a tenth as
many datasets and a hundredth as many projects are stored, but at least a hundred of each.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil

from app.files import JSON_FORM
from app.jobs.initialisation import initialise
from app.jobs.services import Services, open_services
from app.repositories.database import PART_SIZE
from app.repositories.placement import Placement
from app.settings import CLONE_FOLDER, Settings

import orjson  # isort: skip

SMALL = 100
WORKERS = 4
ROUNDS = 200
DELETIONS = 50
PAGE = 20


def main(largest: int) -> None:
    results = {}
    for size in (SMALL, largest):
        with tempfile.TemporaryDirectory(prefix="dht-storage-") as folder:
            results[size] = measure(Path(folder), size)
    small, large = results[SMALL], results[largest]
    print(f"\n{'':44}{SMALL:>10,} {largest:>10,} trainings")
    for name, before in small.items():
        unit, growth = (
            ("ms", f"{large[name] / before:8.2f} x") if name.startswith(("GET", "POST", "PUT", "DELETE")) else ("", "")
        )
        print(f"{name:44}{before:>10.2f} {large[name]:>10.2f} {unit:3}{growth}")


def measure(folder: Path, size: int) -> dict[str, float]:
    settings = Settings(storage_dir=folder / "storage", data_roots=(make_images(folder / "data"),))
    services = open_services(settings)
    initialise(services)
    began = time.perf_counter()
    fill(services, size)
    os.sync()
    print(f"{size:,} trainings: filled in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    with served(settings) as (connection, process):
        figures = {}
        started = time.perf_counter() - began
        for name, request in requests(settings, size).items():
            figures[name] = statistics.median(
                timed(connection, *request(number)) for number in range(DELETIONS if "DELETE" in name else ROUNDS)
            )
            print(f"  {name}: {figures[name]:.2f} ms", flush=True)
        figures["start to first answer, s"] = started
        workers = process.children()
        figures["memory of the web, MB, shared counted once"] = sum(pss(one) for one in [process, *workers])
        figures["memory of a worker alone, MB"] = (
            max(psutil.Process(one.pid).memory_info().rss for one in workers) / 1e6
        )
    return figures


def requests(settings: Settings, size: int) -> dict:
    """Return for each measured request what makes its number-th one."""
    datasets, projects = counts(size)
    middle = max(1, size // 3 // PAGE // 2)
    spread = [1 + number * 7919 % size for number in range(ROUNDS)]
    training = {"model_id": 1, "dataset_id": 1, "properties": []}
    dataset = {"name": "new", "task_id": 1, "path": str(settings.data_roots[0] / "set.yml")}

    def page(path: str, number: int):
        return "GET", f"{path}page={number}&page_size={PAGE}"

    return {
        "GET /weights?model_id, a page": lambda n: page("/weights?model_id=1&", 1),
        "GET /weights?model_id, a page amid": lambda n: page("/weights?model_id=1&", max(1, middle - n)),
        "GET /weights?model_id&dataset_id": lambda n: ("GET", f"/weights?model_id=1&dataset_id={1 + n % (size // 10)}"),
        "GET /datasets?task_id, a page": lambda n: page("/datasets?task_id=1&", 1),
        "GET /projects, a page": lambda n: page("/projects?", 1),
        "GET /weights/{id}": lambda n: ("GET", f"/weights/{spread[n]}"),
        "GET /datasets/{id}": lambda n: ("GET", f"/datasets/{1 + spread[n] % datasets}"),
        "GET /projects/{id}": lambda n: ("GET", f"/projects/{1 + spread[n] % projects}"),
        "GET /trainingSettings": lambda n: ("GET", f"/trainingSettings?modelweights_id={spread[n]}"),
        "GET /status": lambda n: ("GET", f"/status?process_id={process_id(spread[n])}"),
        "PUT /weights/{id}": lambda n: ("PUT", f"/weights/{spread[n]}", {"name": "renamed"}),
        "POST /projects": lambda n: ("POST", "/projects", {"name": f"new {n}", "task_id": 1}),
        "POST /datasets": lambda n: ("POST", "/datasets", dataset | {"name": f"new {n}"}),
        "POST /train": lambda n: ("POST", "/train", training | {"project_id": 1 + n % projects}),
        "DELETE /weights/{id}": lambda n: ("DELETE", f"/weights/{size - n}"),
        "DELETE /datasets/{id}": lambda n: ("DELETE", f"/datasets/{datasets + 1 + n}"),
    }


def counts(size: int) -> tuple[int, int]:
    """Return how many datasets and projects lie beside so many trainings."""
    return max(size // 10, SMALL), max(size // 100, SMALL)


def timed(connection: HTTPConnection, method: str, path: str, body: dict | None = None) -> float:
    began = time.perf_counter()
    content = None if body is None else json.dumps(body)
    connection.request(method, f"/backend{path}", content, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    seconds = time.perf_counter() - began
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {text[:500]!r}")
    return seconds * 1000


def fill(services: Services, size: int) -> None:
    """Lay records and folders as the service does, but all of a part at once."""
    datasets, projects = counts(size)
    settings = {str(record["id"]): record["default"] for record in services.database.properties.all()}
    config = {
        "type": "training", "description": "train LeNet on Set", "project_id": 1, "initial_weights_id": None,
        "dataset": {"id": 1, "path": "dataset.yml", "folder": "/images"}, "training": {"metric": "dice", "epochs": 5},
    }  # fmt: skip
    state = {"state": "finished", "line": "Finished 5/5 epochs", "progress": 1.0, "heartbeat": 1.7e9, "ended_at": 1.7e9}
    description = (services.settings.data_roots[0] / "set.yml").read_bytes()

    def dataset(number: int) -> dict:
        own = services.storage.dataset(number)
        own.mkdir(exist_ok=True)
        (own / "dataset.yml").write_bytes(description)
        return {
            "name": f"Set {number}", "task_id": 1 + number % 2 if number > 1 else 1, "source": "set.yml",
            "colour_type": "GRAY", "version_of": None, "split_settings": None, "path": str(own / "dataset.yml"),
            "folder": str(services.settings.data_roots[0]), "classes": ["a", "b"], "is_multi_label": False,
            "sample_count": 4, "split_sizes": {"training": 3, "test": 1}, "created_at": "2026-11-20T09:33:49+00:00",
        }  # fmt: skip

    def weights(number: int) -> dict:
        folder = services.storage.weights(number)
        folder.path.mkdir(exist_ok=True)
        folder.card.write_bytes(b'{"config": {}}')
        folder.log.touch()
        run = services.storage.runs / process_id(number)
        (run / "outputs").mkdir(parents=True, exist_ok=True)
        (run / "config.json").write_bytes(orjson.dumps(config | {"weights_id": number}))
        (run / "state.json").write_bytes(orjson.dumps(state))
        return {
            "name": f"Set_{number}", "model_id": 1 + number % 3, "task_id": 1, "dataset_id": 1 + number % (size // 10),
            "pretrained_on": None, "project_id": 1 + number % projects, "settings": settings,
            "created_at": "2026-11-20T09:33:49+00:00", "process_id": process_id(number), "logfile": str(folder.log),
            "has_file": True,
        }  # fmt: skip

    write_table(services, "datasets", datasets, dataset)
    write_table(services, "projects", projects, lambda number: {
        "name": f"project {number}", "task_id": 1, "modelweights_id": None, "inference_id": None})  # fmt: skip
    write_table(services, "weights", size, weights)


def write_table(services: Services, name: str, count: int, make) -> None:
    placement = Placement(services.storage.records, name, PART_SIZE)
    for number in range(1, placement.part_of(count) + 1):
        ids = [record_id for record_id in placement.ids(number) if record_id <= count]
        tables = {"assigned_ids": {"1": {"last_id": ids[-1]}}, name: {str(i): make(i) for i in ids}}
        placement.path(number).write_bytes(orjson.dumps(tables, option=JSON_FORM))


def process_id(number: int) -> str:
    return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15 % 2**128, version=4))


def make_images(folder: Path) -> Path:
    from PIL import Image

    folder.mkdir()
    for index in range(4):
        Image.new("L", (16, 16), 60 * index).save(folder / f"{index}.png")
    images = "".join(f"  - {{location: {index}.png, label: {'ab'[index % 2]}}}\n" for index in range(4))
    (folder / "set.yml").write_text(f"classes: [a, b]\nimages:\n{images}split: {{training: [0, 1, 2], test: [3]}}\n")
    return folder


@contextmanager
def served(settings: Settings):
    """Run Redis and the web server alone: nothing else shall take time meanwhile."""
    environment = os.environ | {
        "STORAGE_DIR": str(settings.storage_dir),
        "DATA_ROOTS": str(settings.data_roots[0]),
        "PORT": str(port := free_port()),
        "WEB_WORKERS": str(WORKERS),
    }
    redis = subprocess.Popen([sys.executable, "-m", "app.cli", "redis"], cwd=CLONE_FOLDER, env=environment)
    command = [str(Path(sys.executable).parent / "gunicorn"), "--config", "gunicorn.conf.py", "wsgi:app"]
    web = subprocess.Popen(command, cwd=CLONE_FOLDER, env=environment)
    try:
        connection = HTTPConnection("127.0.0.1", port)
        while True:
            try:
                timed(connection, "GET", "/tasks")
                break
            except OSError:
                connection.close()
                time.sleep(0.02)
        yield connection, psutil.Process(web.pid)
    finally:
        for process in (web, redis):
            process.send_signal(signal.SIGTERM)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pss(process: psutil.Process) -> float:
    return process.memory_full_info().pss / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
