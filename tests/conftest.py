"""What the tests of several rooms share."""

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from redis import Redis
from waiting import PATIENCE_SECONDS, wait_until

from app.embedded_redis import server_binary

# Idle OpenMP threads that spin slow a busy box by a factor of 4 to 10; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_make_parametrize_id(val):
    """A short name for bytes that are no text. The two programs of `make test` collect the tests each for itself, and
    gzip, say, writes the second in which it was called: named by its content, a test would be another one in each."""
    if isinstance(val, bytes) and not val.isascii():
        return f"{len(val)} bytes"
    return None


@pytest.fixture
def redis_url(redis_server, monkeypatch):
    """The address of a Redis server without jobs, which is well, however long a busy machine lets it think."""
    monkeypatch.setattr("app.jobs.redis_probe.PATIENCE_SECONDS", PATIENCE_SECONDS)
    with Redis.from_url(redis_server) as connection:
        connection.flushall()
    return redis_server


@pytest.fixture(scope="session")
def redis_server():
    """A Redis server for the session, on a socket with a short path."""
    short = min("/tmp", tempfile.gettempdir(), key=len)
    with tempfile.TemporaryDirectory(prefix="dht-", dir=short) as folder:
        path = Path(folder) / "redis.sock"
        command = [server_binary(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL) as server:
            wait_until(lambda: _listens(path))
            yield f"unix://{path}"
            server.terminate()


def _listens(path):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0
