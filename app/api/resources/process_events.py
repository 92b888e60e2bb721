"""Processes as streams of server-sent events."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Event as Flag

import orjson
from flask import Response, current_app, request

from app.api.blueprint import Blueprint
from app.api.middleware.gate import still_admits
from app.api.services import services
from app.errors import ToolkitError
from app.jobs.processes.events import Event, follow
from app.jobs.processes.following import find_process

blueprint = Blueprint("process events", __name__, description="Processes as they go on")

RETRY_MILLISECONDS = 1000
EXAMPLE = (
    "retry: 1000\n\n"
    'event: epoch\nid: 1\ndata: {"epoch": 1, "split": "training", "loss": 0.71, "categorical_accuracy": 0.78}\n\n'
    'event: status\ndata: {"process_status": "running", "progress": 0.5, "eta_seconds": 41.0}\n\n'
)


@blueprint.get("/processes/<process_id>/events")
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", example=EXAMPLE)
def get_events(process_id: str) -> Response:
    """Follow a process by server-sent events, without asking again and again.

    `status` comes at once and whenever it changes, `epoch` with the numbers of each epoch and split of a training, and
    `end` with the last status: close the stream then, for browsers' `EventSource` asks again when one ends. A stream
    ends after a minute, too, and when its token is revoked; who asks again is sent the epochs that it lacks. 503 while
    many streams are open.
    """
    toolkit = services()
    find_process(toolkit, process_id)
    events = follow(toolkit, process_id, _seen_rows(), _pause())
    response = Response(_lines(events), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep events back until it has some kilobytes
    response.call_on_close(toolkit.streams.take())
    return response


def _seen_rows() -> int:
    number = request.headers.get("Last-Event-ID", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0


def _pause() -> Callable[[float], bool]:
    """Return how a stream waits: it gives up when its web worker is told to leave, or its token is revoked."""
    is_leaving = current_app.extensions.get("worker_is_leaving", bool)
    is_admitted = still_admits(services().tokens)
    never = Flag()

    def pause(seconds: float) -> bool:
        return never.wait(seconds) or is_leaving() or not is_admitted()

    return pause


def _lines(events: Iterable[Event]) -> Iterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    with suppress(ToolkitError):  # deleted, or its files cannot be read: whoever asks again is told so
        for event in events:
            if event.name == "silence":
                yield b": still there\n\n"  # so that a client that has gone is noticed
                continue
            number = f"id: {event.number}\n" if event.number is not None else ""
            yield f"event: {event.name}\n{number}data: ".encode() + orjson.dumps(event.content) + b"\n\n"
