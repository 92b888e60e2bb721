"""What the API tells of a process, and how it stops one."""

import time
from contextlib import suppress
from dataclasses import dataclass

from app.errors import Busy, Conflict, NotFound, QueueUnavailable, RunHeld, StorageUnavailable
from app.jobs import queue
from app.jobs.services import Services
from app.runs.holding import hold
from app.runs.layout import RunFolder
from app.runs.reader import read_config, read_lines, read_state
from app.runs.state import FAILED, FINISHED, QUEUED, STOPPED, RunState
from app.runs.writer import request_stop, write_final_state

# D3.5 knows three words; a stopped process has finished, and says in its line where.
WIRE_STATUS = {FINISHED: "finished", STOPPED: "finished", FAILED: "error"}
KIND_NAMES = {queue.TRAINING: "Training", queue.INFERENCE: "Inference", queue.CHECK: "Check"}
SECONDS_BETWEEN_LOOKS = 0.005  # at a file of some bytes, for who waits for an output
SECONDS_OF_A_LOOK = 0.2  # that others hold a run for, who do not work on it


@dataclass(frozen=True)
class Process:
    """A process as its run folder tells it."""

    id: str
    run: RunFolder
    config: dict
    state: RunState


def find_process(services: Services, process_id: str) -> Process:
    """Return the process of this id with its true state.

    Raises:
        NotFound: for an id that no process has.
    """
    run = services.storage.run(process_id.lower())
    config = read_config(run) if run else None
    if run is None or config is None:
        raise NotFound(f"There is no process {process_id[:50]!r}.")
    try:
        state = read_state(run)
        with suppress(StorageUnavailable):  # a full disk must not keep anybody from reading
            state = services.recovery.true_state(process_id.lower(), run, config, state)
    except FileNotFoundError:
        raise NotFound(f"There is no process {process_id[:50]!r}.") from None
    return Process(process_id.lower(), run, config, state)


def status(services: Services, process_id: str, full: bool) -> dict:
    """Return the `status` object of `GET /status`."""
    process = find_process(services, process_id)
    state = process.state
    return {
        "process_type": process.config["type"],
        "process_status": WIRE_STATUS.get(state.state, "running"),
        "process_data": _all_lines(process) if full else state.line,
        "process_state": state.state,
        "progress": state.progress,
        "eta_seconds": state.eta_seconds,
        "queue_position": _position(services, process),
        "error": state.error,
        "resumed_from": process.config.get("resumed_from"),
        "interruptions": state.interruptions,
    }


def stop(services: Services, process_id: str) -> str:
    """Stop a waiting process at once and ask a running one to stop; return the sentence of `POST /stopProcess`.

    Asking again is no error while it stops.

    Raises:
        NotFound: for an id that no process has.
        Conflict: for a process that has ended.
        StorageUnavailable: when the run folder cannot be written.
    """
    process = find_process(services, process_id)
    try:
        if process.state.is_final or not _is_closed_waiting(process):
            _refuse_ended(process)
            request_stop(process.run)
    except (FileNotFoundError, StorageUnavailable) as error:
        if isinstance(error, StorageUnavailable) and process.run.path.exists():
            raise
        raise NotFound(f"There is no process {process_id[:50]!r}.") from None  # it was deleted in between
    with suppress(QueueUnavailable):  # a worker that takes it off the queue finds that it has ended
        services.queue.withdraw(process.config["type"], process.id)
    return f"{KIND_NAMES[process.config['type']]} stopped"


def _is_closed_waiting(process: Process) -> bool:
    """Close a process that waits; tell whether it did, so that no job will begin."""
    with suppress(RunHeld), hold(process.run, SECONDS_OF_A_LOOK):
        state = read_state(process.run)
        if state.state == QUEUED:
            where = "before it began" if not state.started_at else f"after: {state.line}"
            write_final_state(process.run, STOPPED, f"Stopped while it waited for a worker, {where}")
            return True
    return False


def _refuse_ended(process: Process) -> None:
    state = read_state(process.run)
    if state.is_final:
        raise Conflict(f"Process {process.id} has ended already ({state.state}); there is nothing to stop.")


def wait_for_end(services: Services, process_id: str, seconds: float) -> bool:
    """Wait until a process has ended, at most for some seconds; tell whether it has.

    Where so many requests wait that they would keep others from being answered, this one does not.
    """
    run, deadline = find_process(services, process_id).run, time.monotonic() + seconds
    with suppress(Busy), services.streams.held():
        while not read_state(run).is_final and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return read_state(run).is_final


def _all_lines(process: Process) -> list[str]:
    lines = read_lines(process.run)
    if not lines or lines[-1] != process.state.line:
        lines.append(process.state.line)
    return lines


def _position(services: Services, process: Process) -> int | None:
    if process.state.state != QUEUED:
        return None
    try:
        return services.queue.position(process.config["type"], process.id)
    except QueueUnavailable:
        # The state is true without it, and a client that polls must not be told of an error.
        return None
