"""Two machines: web and Redis on one, the worker on the other, with nothing between them but Redis and a folder.

Each machine is a network namespace of its own; making those needs root.
"""

import ctypes
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import CLONE, Client
from urllib3.exceptions import HTTPError
from waiting import PATIENCE_SECONDS, wait_until

from app.embedded_redis import server_binary

SERVER, WORKER = "10.213.77.1", "10.213.77.2"
PASSWORD = secrets.token_hex(16)
PORT = "8000"
CLONE_NEWNET = 0x40000000


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def machines():
    """Names of two network namespaces that reach each other, and nothing else."""
    names = [f"dht-{os.getpid()}-{kind}" for kind in ("server", "worker")]
    commands = [
        *(["ip", "netns", "add", name] for name in names),
        ["ip", "-n", names[0], "link", "add", "to-lab", "type", "veth", "peer", "name", "to-lab", "netns", names[1]],
        *(
            ["ip", "-n", name, *rest]
            for name, address in zip(names, (SERVER, WORKER), strict=True)
            for rest in (
                ["addr", "add", f"{address}/24", "dev", "to-lab"],
                ["link", "set", "to-lab", "up"],
                ["link", "set", "lo", "up"],
            )
        ),
    ]
    try:
        for command in commands:
            try:
                answer = run(*command)
            except FileNotFoundError:
                pytest.skip("ip (iproute2) makes the two machines, and is missing")
            if answer.returncode:
                pytest.skip(f"two machines cannot be made here, for which root is needed: {answer.stderr.strip()}")
        yield names
    finally:
        for name in names:
            with suppress(FileNotFoundError):
                run("ip", "netns", "del", name)


@contextmanager
def program(machine, *command, log, **environment):
    """Run a program on a machine until the block ends."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "HOST")}
    with (
        log.open("ab") as lines,
        subprocess.Popen(
            ["ip", "netns", "exec", machine, *map(str, command)],
            cwd=CLONE,
            env=inherited | {"OMP_WAIT_POLICY": "passive", **environment},
            stdout=lines,
            stderr=lines,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def enter(machine):
    """Move this thread to a machine; the sockets that it opens from now on are there."""
    with Path(f"/run/netns/{machine}").open() as door:
        if ctypes.CDLL(None, use_errno=True).setns(door.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"{machine} cannot be entered")


@pytest.fixture
def ask(machines):
    """Send a request to the web server from its own machine; return the JSON of the answer, None for no answer."""
    client = Client(f"http://127.0.0.1:{PORT}")
    with ThreadPoolExecutor(1, initializer=enter, initargs=[machines[0]]) as there:

        def send(*request):
            with suppress(HTTPError):
                return there.submit(client.send, *request).result()[1]

        yield send


def test_a_worker_on_another_machine_needs_redis_and_the_folder_and_nothing_else(
    machines, ask, tmp_path, data_root, sides_yaml
):
    server, worker = machines
    log = tmp_path / "log.txt"
    settings = {
        "REDIS_URL": f"redis://:{PASSWORD}@{SERVER}:6379/0",
        "STORAGE_DIR": str(tmp_path / "storage"),
        "DATA_ROOTS": str(data_root),
        "PORT": PORT,
        "WEB_WORKERS": "1",
    }
    redis = [server_binary(), "--bind", SERVER, "--requirepass", PASSWORD, "--save", "", "--dir", tmp_path]
    web = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    work = [sys.executable, "worker.py", "training", "inference"]

    with ExitStack() as running:
        for machine, command in ((server, redis), (server, web), (worker, work)):
            running.enter_context(program(machine, *command, log=log, **settings))
        wait_until(lambda: (ask("GET", "/health") or {}).get("status") == "ok")
        project = ask("POST", "/projects", {"name": "far", "task_id": 1})
        dataset = ask("POST", "/datasets", {"name": "Sides", "task_id": 1, "path": str(sides_yaml)})
        body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"]}
        training = ask("POST", "/train", body | {"properties": [{"name": "Epochs", "value": 1}]})
        path = f"/status?process_id={training['process_id']}"

        def ended():
            status = ask("GET", path)["status"]
            return status if status["process_status"] != "running" else None

        assert wait_until(ended)["process_status"] == "finished", log.read_text()
        other = settings | {"STORAGE_DIR": str(tmp_path)}
        (tmp_path / "storage.id").write_text("another\n")
        refused = run("ip", "netns", "exec", worker, *work, cwd=CLONE, env=os.environ | other)

    assert refused.returncode == 1 and "another storage folder" in refused.stderr
    assert PASSWORD not in log.read_text() + refused.stderr
