"""What a process measured: the curves of a training, the final numbers of an inference."""

from pathlib import Path
from typing import Any

from app.files import read_object
from app.jobs import queue
from app.jobs.processes.following import find_process
from app.jobs.services import Services
from app.runs.configs import Card, EpochRow, Numbers
from app.runs.reader import read_rows


def process_metrics(services: Services, process_id: str) -> dict:
    """Return the answer of `GET /processes/{id}/metrics`; what is not there yet, or never will be, is empty or None.

    Raises:
        NotFound: for an id that no process has.
    """
    process = find_process(services, process_id)
    answer = {
        "process_id": process.id,
        "process_type": process.config["type"],
        "process_state": process.state.state,
        "curves": {},
        "best": None,
        "metrics": _read(process.run.metrics, Numbers),
    }
    if process.config["type"] == queue.TRAINING:
        folder = services.storage.weights(process.config["weights_id"])
        answer["curves"] = _curves(folder.metrics)
        if card := _read(folder.card, Card):
            answer["best"] = {name: card.get(name) for name in ("epoch", "metric", "value")}
    return answer


def _curves(path: Path) -> dict[str, list[dict]]:
    """Sort the rows of a training by split."""
    curves: dict[str, list[dict]] = {}
    for row in read_rows(path, EpochRow):
        curves.setdefault(row.pop("split"), []).append(row)
    return curves


def _read(path: Path, form: Any) -> dict | None:
    try:
        return read_object(path, form)
    except FileNotFoundError:
        return None
