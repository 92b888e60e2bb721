"""The service of the demonstration: a real one on a free port, with a storage folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.errors import JobFailure
from app.settings import CLONE_FOLDER
from app.supervisor import ending_with

READY = re.compile(r"^Ready.*(http://\S+)/backend/docs", re.MULTILINE)
LOG_NAME = "service.log"
START_SECONDS = 150
STOP_SECONDS = 40
POLL_SECONDS = 0.2
TAIL_LINES = 20


@contextmanager
def running_service(folder: Path) -> Iterator[str]:
    """Run `dht serve` with its storage and its log in this folder; yield the URL that it serves.

    Raises:
        JobFailure: it did not start, with what it said last.
    """
    log_path = folder / LOG_NAME
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=CLONE_FOLDER,
            env=service_environment(folder, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the demonstration alone, which then stops the service
            preexec_fn=ending_with(os.getpid()),
        )
    try:
        yield _wait_for_url(process, log_path)
    finally:
        _stop(process)


def service_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no setting of the user's own service counts; empty ones take their default."""
    return {
        **environment,
        "HOST": "127.0.0.1",
        "PORT": "0",
        "STORAGE_DIR": str(folder / "storage"),
        "REDIS_URL": "",
        "DATA_ROOTS": "",
        "PYTHONUNBUFFERED": "1",
    }


def tail(log_path: Path, count: int = TAIL_LINES) -> str:
    """Return the last lines of a log."""
    return "\n".join(log_path.read_text("utf-8", "replace").splitlines()[-count:])


def _wait_for_url(process: subprocess.Popen, log_path: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = READY.search(log_path.read_text("utf-8", "replace"))
        if found:
            return found[1]
        if process.poll() is not None:
            raise JobFailure(f"The service did not start: {tail(log_path, 1)}")
        time.sleep(POLL_SECONDS)
    raise JobFailure(f"The service was not ready after {START_SECONDS} seconds.")


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
