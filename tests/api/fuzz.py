"""Attack a live service with schemathesis: every check, on a real queue, real records and a real dataset.

`python tests/api/fuzz.py` makes 100 examples of each operation (`--max-examples` for another number, `--seed` for the
same ones again) and exits with 1 for an answer of 5xx, an undocumented status, or any other check that fails.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from api_sandbox import write_tiny_dataset

from app.embedded_redis import is_ready
from app.settings import Settings

CLONE = Path(__file__).resolve().parents[2]
START_SECONDS = 60


def fuzz(folder, max_examples, seed):
    """Serve the folder, attack the service and return schemathesis's exit code."""
    port = free_port()
    environment = os.environ | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "STORAGE_DIR": str(folder / "storage"),
        "REDIS_URL": "",
        "DATA_ROOTS": str(write_tiny_dataset(folder / "data")),
        "URL_TIMEOUT_SECONDS": "2",
        "PYTHONPATH": str(CLONE),
    }
    address = f"http://127.0.0.1:{port}/backend"
    with ExitStack() as running:
        running.enter_context(program("-m", "app.cli", "redis", environment=environment))
        running.enter_context(
            program("-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app", environment=environment)
        )
        wait_until(lambda: is_ready(Settings.from_environment(environment)), "Redis")
        wait_until(lambda: answers(f"{address}/tasks"), address)
        config = folder / "schemathesis.toml"
        settings = (CLONE / "schemathesis.toml").read_text() + dictionary(prepare(address, folder))
        config.write_text(f"seed = {seed}\n{settings}")
        return attack(f"{address}/openapi.json", config, max_examples, folder)


def attack(document, config, max_examples, folder):
    """Run schemathesis's command."""
    schemathesis = Path(sys.executable).with_name("schemathesis")
    command = [schemathesis, "--config-file", config, "run", document]
    command += ["--checks", "all", "--max-examples", str(max_examples), "--continue-on-failure"]
    return subprocess.run(list(map(str, command)), cwd=folder, check=False).returncode


def prepare(address, folder):
    """Make a project, a dataset and processes, so that requests reach more than a 404; return the process ids."""
    project = post(f"{address}/projects", {"name": "fuzz", "task_id": 1})["id"]
    path = str(folder / "data" / "tiny.yml")
    dataset = post(f"{address}/datasets", {"name": "Tiny", "task_id": 1, "path": path})["id"]
    training = {"project_id": project, "dataset_id": dataset, "model_id": 1}
    started = [post(f"{address}/train", training) for _ in range(2)]
    run = folder / "storage" / "runs" / started[0]["process_id"] / "config.json"
    card = {"config": json.loads(run.read_text())["training"], "epoch": 1}
    weights_id = started[0]["weight_id"]
    files = folder / "storage" / "weights" / str(weights_id)
    (files / "weights.json").write_text(json.dumps(card))
    (files / "model.onnx").write_bytes(b"an exported network")
    (files / "export.json").write_text(json.dumps({"digest": None, "is_noise": False, "error": None}))
    inference = {"project_id": project, "dataset_id": dataset, "modelweights_id": weights_id}
    started.append(post(f"{address}/inference", inference))
    return [entry["process_id"] for entry in started]


def dictionary(process_ids):
    """Return the part of schemathesis's configuration that names processes."""
    return f"\n[dictionaries.process_ids]\nvalues = {json.dumps(process_ids)}\n"


def post(address, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def program(*arguments, environment):
    """Run one of the service's programs until the block ends."""
    with subprocess.Popen([sys.executable, *arguments], cwd=CLONE, env=environment) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def wait_until(condition, name):
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not answer within {START_SECONDS} seconds.")
        time.sleep(0.1)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description="Attack a live service with schemathesis.")
    parser.add_argument("--max-examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="schemathesis tells it at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dht-fuzz-") as folder:
        return fuzz(Path(folder), options.max_examples, options.seed)


if __name__ == "__main__":
    raise SystemExit(main())
