"""Writes the run folder of one process: by the web side when it is made, then by its worker alone."""

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from app.errors import StorageUnavailable
from app.files import unavailable, write_json
from app.pids import machine_id
from app.runs.holding import JOB_PATIENCE_SECONDS, hold
from app.runs.layout import RunFolder
from app.runs.reader import read_state
from app.runs.state import FINISHED, QUEUED, STARTED, STOPPING, RunState

HEARTBEAT_SECONDS = 5.0
SECONDS_BETWEEN_STATES = 0.5
SECONDS_BETWEEN_TRIES = 2.0


def create_run(run: RunFolder, config: dict) -> None:
    """Make the folder of a queued process; the state is written last, so a folder with a state is whole.

    Raises:
        StorageUnavailable: when the folder cannot be written.
    """
    prepare_run(run, config)
    queue_run(run)


def prepare_run(run: RunFolder, config: dict) -> None:
    """Make the folder of a process that does not exist before `queue_run`; raises as `create_run`."""
    try:
        run.unfinished_mark.parent.mkdir(parents=True, exist_ok=True)
        run.unfinished_mark.touch()
        try:
            run.path.mkdir(parents=True)
        except OSError:
            run.unfinished_mark.unlink()  # nothing that could be taken back is there
            raise
        run.outputs.mkdir()
    except OSError as error:
        raise unavailable(run.path, "made", error) from error
    write_json(run.config, config)


def queue_run(run: RunFolder) -> None:
    """Write the first state of a process; raises as `create_run`."""
    write_json(run.state, RunState(QUEUED, line="Waiting for a free worker", heartbeat=time.time()).to_dict())


def write_final_state(run: RunFolder, state: str, line: str, error: str | None = None) -> None:
    """Close a process whose job cannot do it: one that never began, or whose worker died. Its caller holds the run."""
    present = read_state(run)
    if not present.is_final:
        ended = replace(present, state=state, line=line, error=error, eta_seconds=None, ended_at=time.time())
        write_state(run, ended)


def write_state(run: RunFolder, state: RunState) -> None:
    """Write a state; one that is final ends the process."""
    write_json(run.state, state.to_dict())
    if state.is_final:
        run.unfinished_mark.unlink(missing_ok=True)


def request_stop(run: RunFolder) -> None:
    """Ask a job to stop; a running one looks at every step.

    Raises:
        StorageUnavailable: when the request cannot be left in the run folder.
    """
    try:
        run.stop_request.touch()
    except OSError as error:
        raise unavailable(run.stop_request, "written", error) from error


class RunWriter(AbstractContextManager):
    """The worker's side of a run: state, progress, log and heartbeat.

    As a context manager it keeps the heartbeat; a job that does not react to a stop request within
    `stop_grace_seconds` is ended by `on_overdue_stop`, and one whose run others have given to another job, as after the
    machine was cut off from the storage for long, by `on_superseded`. Entering raises RunHeld where another job works
    on the run.

    Attributes:
        ending: state and line with which the job may end from now on, for all that counts is done; None before.
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
        self.on_superseded: Callable[[], None] | None = None
        self.ending: tuple[str, str] | None = None
        self._state = read_state(run)
        self._holding = ExitStack()
        self._heart = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    @property
    def state(self) -> RunState:
        return self._state

    def __enter__(self) -> "RunWriter":
        self._holding.enter_context(hold(self.run, JOB_PATIENCE_SECONDS))
        with ExitStack() as undone:
            undone.callback(self._holding.close)
            self._begin()
            undone.pop_all()
        self._heart.start()
        return self

    def _begin(self) -> None:
        self._state = read_state(self.run)  # another holder may have ended the process before
        died = self._state.state in (STARTED, STOPPING)
        self._write(
            state=STARTED,
            line="Starting",
            started_at=time.time(),
            machine=machine_id(),
            interruptions=self._state.interruptions + died,
        )

    def __exit__(self, *exception) -> None:
        self._closed.set()
        self._heart.join()
        self._holding.close()

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

        A full disk costs lines and not the job.

        Args:
            line: what a person reads.
            fraction: of the whole process, 0 to 1.
            eta_seconds: expected time to the end.
            is_kept: whether the line joins the list of all lines.
        """
        if not is_kept and time.monotonic() - self._written_at < SECONDS_BETWEEN_STATES:
            return
        with suppress(StorageUnavailable):
            if is_kept:
                _append(self.run.progress_lines, line + "\n")
            self._write(line=line, progress=fraction, eta_seconds=eta_seconds)

    def close(self, state: str, line: str, error: str | None = None) -> None:
        """Write the final state, as soon as there is room for it; nothing is written after it."""
        self._closed.set()
        fraction = 1.0 if state == FINISHED else self._state.progress
        with suppress(StorageUnavailable):
            _append(self.run.progress_lines, line + "\n")
        ending = {"state": state, "line": line, "error": error, "progress": fraction}
        self.when_there_is_room(lambda: self._write(**ending, eta_seconds=None, ended_at=time.time()))

    def postpone(self, line: str) -> None:
        """Give the process back to the queue: it was interrupted and goes on later."""
        self._closed.set()
        self._write(state=QUEUED, line=line, eta_seconds=None, machine=None)

    def log(self, text: str) -> None:
        """Add a line with its time to the log; a full disk costs the line and not the job."""
        with suppress(StorageUnavailable):
            append_to_log(self._log, text)

    def when_there_is_room(self, write: Callable[[], None]) -> None:
        """Write what must not be lost: while the disk is full, wait and try again, until somebody asks to stop.

        Raises:
            StorageUnavailable: when it cannot be written, and a stop was asked for or the run has been deleted.
        """
        while True:
            try:
                return write()
            except StorageUnavailable as error:
                if self.should_stop() or self._is_deleted():
                    raise
                self.progress(f"Waits for the disk: {error.message}", self._state.progress, None)
                time.sleep(SECONDS_BETWEEN_TRIES)

    def _is_deleted(self) -> bool:
        """Whether the folder of the run alone is gone, which nothing brings back; with all others it may be away."""
        return os.access(self.run.path.parent, os.R_OK | os.X_OK) and not self.run.path.exists()

    def _write(self, **changes) -> None:
        with self._lock:
            if self._state.is_final or (self._state.state == QUEUED and "state" not in changes):
                return
            self._give_way()
            if self._state.state == STARTED and "state" not in changes and self.should_stop():
                changes["state"] = STOPPING
            state = replace(self._state, **changes, heartbeat=time.time())
            write_state(self.run, state)
            self._state = state
            self._written_at = time.monotonic()

    def _give_way(self) -> None:
        """End this job where others took it for dead and went on with the process: each time they count one more.

        Its lock does not keep them away for ever: a network file system gives up those of a machine that is cut off.
        """
        with suppress(StorageUnavailable, FileNotFoundError):
            if self.on_superseded and read_state(self.run).interruptions > self._state.interruptions:
                self.on_superseded()

    def _beat(self) -> None:
        while not self._closed.is_set():
            with suppress(StorageUnavailable):  # a full disk may have room again at the next beat
                self._beat_until_closed()

    def _beat_until_closed(self) -> None:
        stop_seen_at = None
        beats_at = time.monotonic() + HEARTBEAT_SECONDS
        while not self._closed.wait(0.5):
            now = time.monotonic()
            self._give_way()
            if stop_seen_at is None and self.should_stop():
                stop_seen_at = now
                self._write()
            if stop_seen_at is not None and now - stop_seen_at > self._stop_grace_seconds and self.on_overdue_stop:
                self.on_overdue_stop()
            if now >= beats_at:
                beats_at = now + HEARTBEAT_SECONDS
                self._write()


def append_row(path: Path, row: dict) -> None:
    """Add one row to a JSON-lines file in a single write.

    Raises:
        StorageUnavailable: when it cannot be written; nothing of it is there then.
    """
    content = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    try:
        with path.open("ab", buffering=0) as stream:
            size = stream.tell()
            if stream.write(content) < len(content):  # as much as there was room for
                stream.truncate(size)
                raise OSError(errno.ENOSPC, "")
    except OSError as error:
        raise unavailable(path, "written", error) from error


def append_to_log(path: Path, text: str) -> None:
    """Add a line with its time to a log."""
    _append(path, f"{datetime.now().isoformat(sep=' ', timespec='seconds')}  {text.rstrip()}\n")


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise unavailable(path, "written", error) from error
