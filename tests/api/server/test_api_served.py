"""What several gunicorn workers have to agree on, behind a real socket."""

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import urllib3
from waiting import PATIENCE_SECONDS, wait_until

from app.access.tokens import stored_tokens
from app.launcher import free_port
from app.runs.layout import StorageLayout
from app.settings import CLONE_FOLDER


@pytest.fixture
def environment(settings):
    return os.environ | {
        "HOST": "127.0.0.1",
        "PORT": str(free_port("127.0.0.1", 0)),
        "STORAGE_DIR": str(settings.storage_dir),
        "REDIS_URL": settings.redis_url,
        "WEB_WORKERS": "2",
    }


def gunicorn(environment, *options, **pipes):
    command = [sys.executable, "-m", "gunicorn", *options, "wsgi:app"]
    return subprocess.Popen(command, cwd=CLONE_FOLDER, env=environment, **pipes)


def answers(send):
    try:
        return send("/backend/docs").status == 200
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def served(environment, **options):
    """Run gunicorn, and lend a function that sends a GET on a connection of its own: any of the workers may answer."""
    with gunicorn(environment, **{"stderr": subprocess.DEVNULL} | options) as server, urllib3.PoolManager() as http:

        def send(path, **headers):
            address = f"http://127.0.0.1:{environment['PORT']}{path}"
            return http.request("GET", address, headers=headers | {"Connection": "close"}, retries=False)

        try:
            wait_until(lambda: answers(send) or server.poll() is not None)
            assert server.poll() is None
            yield send
        finally:
            server.terminate()


@pytest.fixture
def get(environment):
    with served(environment) as send:
        yield send


def test_all_workers_know_of_a_token_and_of_its_end_at_once(settings, get):
    tokens = stored_tokens(settings)

    def statuses(**headers):
        return {get("/backend/tasks", **headers).status for _ in range(20)}

    assert statuses() == {200}

    token = tokens.create("anna")
    assert statuses() == {401}
    assert statuses(Authorization=f"Bearer {token}") == {200}

    tokens.revoke("anna")
    assert statuses(Authorization=f"Bearer {token}") == {401}


def test_the_numbers_for_prometheus_are_those_of_all_workers(get):
    for _ in range(30):
        get("/backend/models")

    lines = get("/metrics").data.decode().splitlines()

    assert 'dht_requests_total{method="GET",rule="/backend/models",status="200"} 30.0' in lines


def test_numbers_that_cannot_be_kept_disturb_nobody(environment, tmp_path):
    with served(environment | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "gone")}) as get:
        assert {get("/backend/models").status for _ in range(10)} == {200}
        assert "dht_redis_up 1.0" in get("/metrics").data.decode()


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 4 MiB, and the file that fills it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small disk takes root")
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield filler
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_numbers_for_which_there_is_no_room_cost_no_answer(environment, full_disk):
    with served(environment | {"PROMETHEUS_MULTIPROC_DIR": str(full_disk.parent)}) as get:
        assert {get("/backend/models").status for _ in range(10)} == {200}
        assert "dht_requests" not in get("/metrics").data.decode()

        full_disk.unlink()
        get("/backend/models")
        assert 'rule="/backend/models"' in get("/metrics").data.decode()


def test_clients_that_only_connect_use_up_no_files_of_the_web_workers(environment, tmp_path):
    limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 64))
    said, address = tmp_path / "said", ("127.0.0.1", int(environment["PORT"]))
    with said.open("wb") as stderr, served(environment, stderr=stderr, preexec_fn=limit) as get:
        with ExitStack() as connections:
            for _ in range(200):
                connections.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
        assert get("/backend/tasks").status == 200

    assert said.read_text() == ""


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_worker_in_the_place_of_a_killed_one_removes_what_that_left(settings, environment):
    storage = StorageLayout(settings.storage_dir)
    with served(environment) as get:
        left = storage.dataset(1000)
        left.mkdir()
        note = '{"ids": {"datasets": [1000]}, "folders": ["datasets/1000"], "is_new": false}'
        (storage.going / "note").write_text(note)
        (worker, *_) = [found for child in children(os.getpid()) for found in children(child)]
        os.kill(worker, signal.SIGKILL)

        wait_until(lambda: not left.exists())
        assert get("/backend/tasks").status == 200


@pytest.mark.parametrize(("options", "host"), [(["--bind", "0.0.0.0:0"], ""), ([], "0.0.0.0")])
def test_gunicorn_too_refuses_to_let_others_in_without_a_token(environment, options, host):
    with gunicorn(environment | {"HOST": host}, *options, stderr=subprocess.PIPE, text=True) as server:
        _, said = server.communicate(timeout=PATIENCE_SECONDS)

    assert server.returncode == 1
    assert said.startswith("To listen on 0.0.0.0 lets other machines in") and len(said.splitlines()) == 1
