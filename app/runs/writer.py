"""Writes the run folder of one process: by the web side when it is made, then by its worker alone."""

import fcntl
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import orjson

from app.errors import StorageUnavailable
from app.files import write_json
from app.runs.layout import RunFolder
from app.runs.reader import read_state
from app.runs.state import FINISHED, QUEUED, STARTED, STOPPING, RunState

HEARTBEAT_SECONDS = 5.0
SECONDS_BETWEEN_STATES = 0.5


def create_run(run: RunFolder, config: dict) -> None:
    """Make the folder of a queued process; the state is written last, so a folder with a state is whole.

    Raises:
        StorageUnavailable: when the folder cannot be written.
    """
    run.outputs.mkdir(parents=True)
    write_json(run.config, config)
    write_json(run.state, RunState(QUEUED, line="Waiting for a free worker", heartbeat=time.time()).to_dict())


def write_final_state(run: RunFolder, state: str, line: str, error: str | None = None) -> None:
    """Close a process whose job cannot do it: one that never began, or whose worker died."""
    present = read_state(run)
    if not present.is_final:
        ended = replace(present, state=state, line=line, error=error, eta_seconds=None, ended_at=time.time())
        write_json(run.state, ended.to_dict())


def is_worked_on(run: RunFolder) -> bool:
    """Tell whether a living job of this machine holds the run; one that sleeps or is suspended does."""
    try:
        with run.alive.open("ab") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def request_stop(run: RunFolder) -> None:
    """Ask a running job to stop; it looks at every step."""
    run.stop_request.touch()


class RunWriter(AbstractContextManager):
    """The worker's side of a run: state, progress, log and heartbeat.

    As a context manager it keeps the heartbeat; a job that does not react to a stop request within
    `stop_grace_seconds` is ended by `on_overdue_stop`. Entering waits for another holder of the run.
    """

    def __init__(
        self,
        run: RunFolder,
        log: Path,
        *,
        stop_grace_seconds: float = 10.0,
        on_overdue_stop: Callable[[], None] | None = None,
    ):
        self.run = run
        self._log = log
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._interrupted = threading.Event()
        self._written_at = 0.0
        self._stop_grace_seconds = stop_grace_seconds
        self.on_overdue_stop = on_overdue_stop
        self._state = read_state(run)
        self._lock_file: BinaryIO | None = None
        self._heart = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    @property
    def state(self) -> RunState:
        return self._state

    def __enter__(self) -> "RunWriter":
        # The system lets go of it when this process ends, however it ends: what else tells a dead job from a slow one?
        self._lock_file = self.run.alive.open("ab")
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        self._state = read_state(self.run)  # another holder may have ended the process while this one waited
        self._write(state=STARTED, line="Starting", started_at=time.time())
        self._heart.start()
        return self

    def __exit__(self, *exception) -> None:
        self._closed.set()
        self._heart.join()
        if self._lock_file:
            self._lock_file.close()

    def interrupt(self) -> None:
        """Ask for a stop from inside the job's own process (the service is shutting down)."""
        self._interrupted.set()

    @property
    def is_interrupted(self) -> bool:
        """Whether the service, and not a person, asked for the stop."""
        return self._interrupted.is_set()

    def should_stop(self) -> bool:
        """Tell whether somebody asked this process to stop; cheap enough for every step."""
        return self._interrupted.is_set() or self.run.stop_request.exists()

    def progress(self, line: str, fraction: float, eta_seconds: float | None, *, is_kept: bool = False) -> None:
        """Show a progress line; the file is written at most twice a second, and for kept lines always.

        Args:
            line: what a person reads.
            fraction: of the whole process, 0 to 1.
            eta_seconds: expected time to the end.
            is_kept: whether the line joins the list of all lines.
        """
        if is_kept:
            _append(self.run.progress_lines, line + "\n")
        elif time.monotonic() - self._written_at < SECONDS_BETWEEN_STATES:
            return
        self._write(line=line, progress=fraction, eta_seconds=eta_seconds)

    def close(self, state: str, line: str, error: str | None = None) -> None:
        """Write the final state; nothing is written after it."""
        self._closed.set()
        fraction = 1.0 if state == FINISHED else self._state.progress
        _append(self.run.progress_lines, line + "\n")
        self._write(state=state, line=line, error=error, progress=fraction, eta_seconds=None, ended_at=time.time())

    def log(self, text: str) -> None:
        """Add a line with its time to the log."""
        _append(self._log, f"{datetime.now().isoformat(sep=' ', timespec='seconds')}  {text.rstrip()}\n")

    def _write(self, **changes) -> None:
        with self._lock:
            if self._state.is_final:
                return
            if self._state.state == STARTED and "state" not in changes and self.should_stop():
                changes["state"] = STOPPING
            state = replace(self._state, **changes, heartbeat=time.time())
            write_json(self.run.state, state.to_dict())
            self._state = state
            self._written_at = time.monotonic()

    def _beat(self) -> None:
        while not self._closed.is_set():
            with suppress(StorageUnavailable):  # a full disk may have room again at the next beat
                self._beat_until_closed()

    def _beat_until_closed(self) -> None:
        stop_seen_at = None
        beats_at = time.monotonic() + HEARTBEAT_SECONDS
        while not self._closed.wait(0.5):
            now = time.monotonic()
            if stop_seen_at is None and self.should_stop():
                stop_seen_at = now
                self._write()
            if stop_seen_at is not None and now - stop_seen_at > self._stop_grace_seconds and self.on_overdue_stop:
                self.on_overdue_stop()
            if now >= beats_at:
                beats_at = now + HEARTBEAT_SECONDS
                self._write()


def append_row(path: Path, row: dict) -> None:
    """Add one row to a JSON-lines file in a single write."""
    with path.open("ab") as stream:
        stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)
