"""Plots of what a process measured, each drawn on first use by a short-lived program of its own."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import orjson

from app.errors import Conflict, NotFound, StorageDamaged
from app.files import write_atomically
from app.jobs import queue
from app.jobs.processes.following import Process, find_process
from app.jobs.processes.metrics import process_metrics
from app.jobs.services import Services
from app.runs.configs import ScoreRow
from app.runs.layout import RunFolder
from app.runs.reader import read_rows
from app.settings import CLONE_FOLDER

LOSS = "loss"
METRIC = "metric"
ROC = "roc"
CONFUSION_MATRIX = "confusion_matrix"
NAMES = {queue.TRAINING: (LOSS, METRIC), queue.INFERENCE: (ROC, CONFUSION_MATRIX)}
FORMATS = ("png", "svg")
DRAWING_SECONDS = 60


def plot(services: Services, process_id: str, file_name: str) -> Path:
    """Return the path of a plot: `loss` and `metric` of a training, `roc` and `confusion_matrix` of an inference.

    Args:
        services: the opened service.
        process_id: of the process.
        file_name: the plot and its format, such as `roc.svg` or `loss.png`.

    Raises:
        NotFound: for an id that no process has, or a plot that processes of its kind do not have.
        Conflict: while there is nothing to draw.
        Busy: while several plots are drawn.
    """
    process = find_process(services, process_id)
    name, _, form = file_name.rpartition(".")
    if name not in NAMES.get(process.config["type"], ()) or form not in FORMATS:
        raise NotFound(f"There is no plot {file_name[:80]!r} of this process; {_offered(process)}.")
    request = orjson.dumps({"format": form, **_request(services, process, name)})
    kept = process.run.plots / f"{name}-{sha256(request).hexdigest()[:16]}.{form}"
    if not kept.exists():
        outdated = list(kept.parent.glob(f"{name}-*.{form}"))
        with services.programs.held():
            picture = _drawn(request, process.run)
        kept.parent.mkdir(exist_ok=True)
        write_atomically(kept, picture)
        for path in outdated:
            path.unlink(missing_ok=True)
    return kept


def _offered(process: Process) -> str:
    names = [f"{name}.{form}" for name in NAMES.get(process.config["type"], ()) for form in FORMATS]
    return f"there are {', '.join(names)}" if names else "a check has none"


def _request(services: Services, process: Process, name: str) -> dict:
    """Collect what a plot shows."""
    measured = process_metrics(services, process.id)
    if name in (LOSS, METRIC):
        if not measured["curves"]:
            raise Conflict(f"Process {process.id} has no curves yet; they begin with its first ended epoch.")
        quantity = LOSS if name == LOSS else process.config["training"]["metric"]
        return {"plot": "curves", "curves": measured["curves"], "quantity": quantity}
    classes = process.config.get("classes", [])
    numbers = measured["metrics"] or {}
    if not numbers.keys() & {"accuracy", "binary_accuracy"}:
        raise Conflict(f"Process {process.id} has no plots: they need a finished classification of labelled images.")
    if name == CONFUSION_MATRIX and "confusion_matrix" not in numbers:
        raise Conflict(f"Process {process.id} has no confusion matrix: its images have any number of classes each.")
    if name == CONFUSION_MATRIX:
        return {"plot": CONFUSION_MATRIX, "matrix": numbers["confusion_matrix"], "classes": classes}
    rows = read_rows(process.run.predictions, ScoreRow)
    scores, targets = [row["scores"] for row in rows], [row["target"] for row in rows]
    return {"plot": ROC, "scores": scores, "targets": targets, "classes": classes}


def _drawn(request: bytes, run: RunFolder) -> bytes:
    command = [sys.executable, "-m", "app.metrics.plots"]
    try:
        ended = subprocess.run(
            command, input=request, capture_output=True, check=True, timeout=DRAWING_SECONDS, cwd=CLONE_FOLDER
        )
    except subprocess.TimeoutExpired as error:
        raise Conflict(f"The plot was not drawn within {DRAWING_SECONDS} seconds; ask again later.") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.decode(errors="replace").splitlines() or ["without a word"])[-1]
        raise StorageDamaged(
            f"The plot could not be drawn ({reason}); correct the numbers in {run.path}, or restore a backup."
        ) from error
    return ended.stdout
