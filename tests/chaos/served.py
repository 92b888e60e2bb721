"""A real `dht serve` that can be started again, and whose programs can be found and hurt."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import urllib3

from app.jobs.queue import QUEUE_NAMES

CLONE = Path(__file__).resolve().parents[2]
READY = re.compile(r"^Ready; ", re.MULTILINE)
COMPILER = shutil.which("cc")
START_SECONDS = 180
PATIENCE_SECONDS = 120  # with what takes a moment on a machine that does nothing else

WITHOUT_WORKERS = ("redis", "web")
# What a user sees in a list of programs, by its command line.
WORDS = {"redis": "valkey-server", "web": "gunicorn", "training": "worker.py training", "inference": "worker.py inf"}


class Unanswered(Exception):
    """No answer came, so nobody knows whether the request did something."""


class Served:
    """The service on a storage folder, with a clock that can be set where the machine has a C compiler.

    `programs` are those of the Procfile that it runs: what needs no worker need not wait for one.
    """

    def __init__(
        self, folder: Path, storage: Path, data: Path, programs: Collection[str] = ("redis", "web", *QUEUE_NAMES)
    ):
        self.storage = storage
        self._procfile = folder / "Procfile"
        lines = (CLONE / "Procfile").read_text().splitlines(keepends=True)
        self._procfile.write_text("".join(line for line in lines if line.split(":")[0] in programs))
        self.log = folder / "serve.log"
        self._clock = folder / "clock"
        self.set_clock(0)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "STORAGE_DIR": str(storage),
            "DATA_ROOTS": str(data),
            "CHECKPOINT_MINUTES": "0.001",
            "AUTO_RESUME_TIMES": "1000",
            "STOP_GRACE_SECONDS": "5",
            "WEB_WORKERS": "4",
            "OMP_NUM_THREADS": "1",
        }
        if COMPILER:
            library = folder / "clock.so"
            source = Path(__file__).with_name("clock.c")
            subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
            self._environment |= {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._clock)}
        self._http = urllib3.PoolManager(maxsize=32, retries=False, timeout=20)
        self.process: subprocess.Popen | None = None

    def set_clock(self, shift_seconds: int) -> None:
        """Set the clock of the day of all programs, so many seconds off."""
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:  # they have it in their memory
            file.write(shift_seconds.to_bytes(8, "little", signed=True))

    def start(self) -> None:
        """Start it and wait until it is ready; a port or lock that the last one still holds is waited for."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            begin = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "app.cli", "serve", "--procfile", str(self._procfile)],
                    cwd=CLONE,
                    env=self._environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            while self.process.poll() is None:
                if READY.search(self.log.read_bytes()[begin:].decode(errors="replace")):
                    return
                assert time.monotonic() < deadline, "the service does not become ready"
                time.sleep(0.1)
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-2000:]
            time.sleep(1)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, and let nothing of it run on after the block, however that ends."""
        try:
            self.start()
            yield
        finally:
            if self.process and self.process.poll() is None:
                self.kill_all()

    def stop(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)

    def kill_all(self) -> None:
        """End everything at once, as a power cut does."""
        victims = [self.process, *self.programs("")]
        for victim in victims:
            with suppress(psutil.Error, ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)
        psutil.wait_procs(victims[1:], PATIENCE_SECONDS)

    def programs(self, words: str) -> list[psutil.Process]:
        """Return the programs of the service with these words in their command line, parents before children."""
        found = []
        with suppress(psutil.Error):
            for program in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if words in " ".join(program.cmdline()) and program.status() != psutil.STATUS_ZOMBIE:
                        found.append(program)
        return found

    def send(self, method: str, path: str, body=None) -> tuple[int, dict | list | None]:
        """Return status and JSON of an answer.

        Raises:
            Unanswered: when none came.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = json.dumps(body) if body is not None else None
        try:
            answer = self._http.request(
                method, f"http://127.0.0.1:{self.port}/backend{path}", body=content, headers=headers
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unanswered from error
        return answer.status, json.loads(answer.data) if answer.data else None

    def settled(self, method: str, path: str, body=None) -> dict | list | None:
        """Send a request until it is answered with success; only for what may be sent twice."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(Unanswered):
                status, answer = self.send(method, path, body)
                if status < 400:
                    return answer
                assert status in (429, 503, 507), (status, answer)
            assert time.monotonic() < deadline, f"{method} {path} does not succeed"
            time.sleep(0.2)
