"""What the API tells of a process, and how it stops one."""

import csv
import time
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from app.errors import Busy, Conflict, NotFound, QueueUnavailable, RunHeld, StorageUnavailable
from app.files import read_json
from app.jobs import queue
from app.jobs.services import Services
from app.runs.holding import hold
from app.runs.layout import RunFolder
from app.runs.reader import count_rows, read_config, read_lines, read_rows, read_state
from app.runs.state import FAILED, FINISHED, QUEUED, STOPPED, RunState
from app.runs.writer import request_stop, write_final_state

# D3.5 knows three words; a stopped process has finished, and says in its line where.
WIRE_STATUS = {FINISHED: "finished", STOPPED: "finished", FAILED: "error"}
KIND_NAMES = {queue.TRAINING: "Training", queue.INFERENCE: "Inference", queue.CHECK: "Check"}
NO_OUTPUTS = {
    queue.TRAINING: "A training has no outputs; run an inference with its weights.",
    queue.CHECK: "A check has no outputs; its dataset has the report.",
}

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
    if process.state.is_final or not _is_closed_waiting(process):
        _refuse_ended(process)
        request_stop(process.run)
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


def outputs(services: Services, process_id: str, page: int | None = None, page_size: int | None = None) -> dict:
    """Return what an inference gave, in the wire form but for masks, which are file names here.

    Returns:
        `outputs`, and `images`; `metrics` where the images have labels; `result` in place of rows that are not there.
    """
    process = find_process(services, process_id)
    if process.config["type"] != queue.INFERENCE:
        return _no_outputs(NO_OUTPUTS[process.config["type"]])
    if process.state.state == FAILED:
        return _no_outputs(f"The inference failed: {process.state.error}")
    if process.state.state not in (FINISHED, STOPPED):
        return _no_outputs("The inference has not finished; ask again later.")
    rows = _rows(process, page, page_size)
    answer = {
        "outputs": [row["mask"] if "mask" in row else [row["image"], str([row["scores"]])] for row in rows],
        "images": [row["image"] for row in rows],
        "count": count_rows(process.run.predictions),
    }
    if process.state.state == STOPPED:
        answer["result"] = f"{process.state.line}; images without a row were not looked at."
    if process.run.metrics.exists():
        answer["metrics"] = read_json(process.run.metrics)
    return answer


def outputs_csv(
    services: Services, process_id: str, masks_address: str, page: int | None = None, page_size: int | None = None
) -> str:
    """Return the rows of an inference as CSV with a header line; only that line while there are none.

    `masks_address` is what stands before the file name of a mask in its URL.
    """
    process = find_process(services, process_id)
    rows = _rows(process, page, page_size) if process.state.is_final else []
    stream = StringIO()
    writer = csv.writer(stream)
    if rows and "mask" in rows[0]:
        writer.writerow(["image", "mask", *_flat_scores(rows[0])])
        writer.writerows([row["image"], masks_address + row["mask"], *_flat_scores(row).values()] for row in rows)
    else:
        classes = process.config.get("classes", [])
        decide = _present_classes if process.config.get("is_multi_label") else _likeliest_class
        has_labels = any("target" in row for row in rows)
        writer.writerow(["image", "prediction", *classes, *["label"] * has_labels])
        for row in rows:
            label = [_named(row.get("target", []), classes)] * has_labels
            writer.writerow([row["image"], _named(decide(row["scores"]), classes), *row["scores"], *label])
    return stream.getvalue()


def _likeliest_class(scores: list[float]) -> int:
    return scores.index(max(scores))


def _present_classes(scores: list[float]) -> list[int]:
    return [index for index, score in enumerate(scores) if score >= 0.5]


def _named(indexes: int | list[int], classes: list[str]) -> str:
    """Name a class, or several of them, joined by a semicolon and a blank; none is the empty text."""
    return "; ".join(classes[index] for index in ([indexes] if isinstance(indexes, int) else indexes))


def _flat_scores(row: dict) -> dict[str, float | None]:
    """Return the scores of a mask by the names of their columns, such as `dice_nucleus`."""
    return {
        f"{score}_{name}": value
        for score, by_class in row.get("scores", {}).items()
        for name, value in by_class.items()
    }


def output_file(services: Services, process_id: str, file_name: str) -> Path:
    """Return the path of a mask that an inference wrote.

    Raises:
        NotFound: for any name but that of a mask in this process's outputs.
    """
    folder = find_process(services, process_id).run.outputs
    names = {path.name: path for path in folder.glob("*.png")}
    if file_name not in names:
        raise NotFound(f"Process {process_id} has no output {file_name[:80]!r}.")
    return names[file_name]


def _rows(process: Process, page: int | None, page_size: int | None) -> list[dict]:
    start = (page - 1) * page_size if page and page_size else 0
    rows = read_rows(process.run.predictions, start, page_size)
    if process.config.get("dataset") is None and "image" in process.config:
        # The one image lies in the run folder; its client knows it by the URL it sent.
        return [row | {"image": process.config["image"]["location"]} for row in rows]
    return rows


def _no_outputs(sentence: str) -> dict:
    return {"outputs": [], "result": sentence}


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
