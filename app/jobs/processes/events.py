"""A process as it goes on: its status whenever that changes, and the numbers of each epoch as they come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.jobs import queue
from app.jobs.processes.following import find_process, status
from app.jobs.services import Services
from app.runs.configs import EpochRow
from app.runs.reader import read_rows

POLL_SECONDS = 0.5
SECONDS_OF_SILENCE = 5.0
LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Event:
    """Something that happened: `status`, `epoch` (`number` counts the rows so far), `end`, or `silence`."""

    name: str
    content: dict
    number: int | None = None


def follow(services: Services, process_id: str, seen_rows: int, pause: Callable[[float], bool]) -> Iterator[Event]:
    """Yield events until the process has ended, or for a minute: then the client asks again.

    Args:
        services: the opened service.
        process_id: of a process that exists.
        seen_rows: rows of epochs that the client has.
        pause: waits for some seconds; tells whether to give up.
    """
    shown: dict = {}
    silent_seconds = 0.0
    for _ in range(int(LONGEST_SECONDS / POLL_SECONDS)):
        present = status(services, process_id, full=False)  # before the rows: the last ones precede the final state
        for row in _epochs(services, process_id, seen_rows):
            seen_rows += 1
            yield Event("epoch", row, seen_rows)
        if present != shown:
            shown, silent_seconds = present, 0.0
            yield Event("status", present)
        if present["process_status"] != "running":
            yield Event("end", present)
            return
        if silent_seconds >= SECONDS_OF_SILENCE:
            silent_seconds = 0.0
            yield Event("silence", {})
        if pause(POLL_SECONDS):
            return
        silent_seconds += POLL_SECONDS


def _epochs(services: Services, process_id: str, start: int) -> list[dict]:
    config = find_process(services, process_id).config
    if config["type"] != queue.TRAINING:
        return []
    return read_rows(services.storage.weights(config["weights_id"]).metrics, EpochRow, start)
