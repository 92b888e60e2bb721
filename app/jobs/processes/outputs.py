"""The outputs of an inference, as pages, tables and files."""

import csv
from io import StringIO
from pathlib import Path

from app.errors import NotFound
from app.files import read_object
from app.jobs import queue
from app.jobs.processes.following import Process, find_process
from app.jobs.services import Services
from app.runs.configs import Numbers, Prediction
from app.runs.reader import count_rows, read_rows
from app.runs.state import FAILED, FINISHED, STOPPED

NO_OUTPUTS = {
    queue.TRAINING: "A training has no outputs; run an inference with its weights.",
    queue.CHECK: "A check has no outputs; its dataset has the report.",
}


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
        answer["metrics"] = read_object(process.run.metrics, Numbers)
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
        columns = list(dict.fromkeys(name for row in rows for name in _flat_scores(row)))
        writer.writerow(["image", "mask", *columns])
        for row in rows:
            scores = _flat_scores(row)  # none where the image has no mask of its own
            writer.writerow([row["image"], masks_address + row["mask"], *map(scores.get, columns)])
    else:
        classes = process.config.get("classes", [])
        decide = _present_classes if process.config.get("is_multi_label") else _likeliest_class
        has_labels = any("target" in row for row in rows)
        writer.writerow(["image", "prediction", *classes, *["label"] * has_labels])
        for row in rows:
            label = [_named(row.get("target", []), classes)] * has_labels
            writer.writerow([row["image"], _named(decide(row["scores"]), classes), *row["scores"], *label])
    return stream.getvalue()


def _likeliest_class(scores: list[float | None]) -> list[int]:
    known = [score for score in scores if score is not None]  # those that are no numbers are null
    return [scores.index(max(known))] if known else []


def _present_classes(scores: list[float | None]) -> list[int]:
    return [index for index, score in enumerate(scores) if score is not None and score >= 0.5]


def _named(indexes: int | list[int], classes: list[str]) -> str:
    """Name a class, or several of them, joined by a semicolon and a blank; none is the empty text."""
    names = dict(enumerate(classes))
    return "; ".join(names.get(index, str(index)) for index in ([indexes] if isinstance(indexes, int) else indexes))


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
    rows = read_rows(process.run.predictions, Prediction, start, page_size)
    if process.config.get("dataset") is None and "image" in process.config:
        # The one image lies in the run folder; its client knows it by the URL it sent.
        return [row | {"image": process.config["image"]["location"]} for row in rows]
    return rows


def _no_outputs(sentence: str) -> dict:
    return {"outputs": [], "result": sentence}
