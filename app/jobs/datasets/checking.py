"""Start the check of a dataset, and tell what it found. The web side; `app.jobs.datasets.job` does the work."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from app.datasets.groups import group_feature
from app.datasets.masks import MaskRule
from app.datasets.report.form import Report
from app.errors import Conflict, InvalidInput, NotFound
from app.files import read_object
from app.jobs import queue
from app.jobs.datasets.opened import open_dataset
from app.jobs.processes.following import Process, find_process, stop
from app.jobs.processes.submission import submit
from app.jobs.services import Services
from app.runs.layout import StorageLayout
from app.runs.state import FINISHED, QUEUED

MOST_NAMED = 3
MOST_LOGGED = 20


def start_check(services: Services, record: Mapping, group_by: str | None = None) -> str:
    """Queue the check of a registered dataset and return its process id, which the record then has too.

    Args:
        services: the opened service.
        record: of the dataset.
        group_by: the feature that says which samples belong together; by default one named after a patient.

    Raises:
        QueueUnavailable: when Redis cannot be reached; the record is as it was then.
    """
    services.queue.check()
    datasets, dataset_id = services.database.datasets, record["id"]
    run_config = {
        "type": queue.CHECK,
        "description": f"check {record['name']} (dataset {dataset_id})",
        "dataset": dict(record),
        "task": services.database.tasks.get(record["task_id"])["name"].lower(),
        "group_by": group_by,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }

    def undo(process_id: str) -> None:
        with suppress(NotFound):
            datasets.update(dataset_id, check_process_id=record.get("check_process_id"))

    return submit(
        services,
        run_config,
        lambda process_id: datasets.update(dataset_id, check_process_id=process_id),
        undo,
    )


def dataset_report(services: Services, dataset_id: int) -> dict:
    """Return the newest report on a dataset, or how far its check is; one that was never checked is checked now.

    Returns:
        `state` is `finished` with the whole report; `queued` or `running` with `progress`; `failed` or `stopped`
        with `error`. `process_id` names the check.

    Raises:
        NotFound: for an id that no dataset has.
        QueueUnavailable: when a check has to be started and Redis cannot be reached.
    """
    record = services.database.datasets.get(dataset_id)
    process = _check_of(services, record)
    report = stored_report(services.storage, dataset_id)
    is_finished = process is not None and process.state.state == FINISHED
    if process is None or (is_finished and report is None):  # somebody emptied a folder
        return {"state": QUEUED, "progress": 0.0, "process_id": start_check(services, record)}
    state = process.state
    if is_finished:
        return {"state": FINISHED, "progress": 1.0, "process_id": process.id, **(report or {})}
    if state.is_final:
        words = state.error or f"{state.line}. Send POST to this address to check again."
        return {"state": state.state, "progress": state.progress, "process_id": process.id, "error": words}
    word = QUEUED if state.state == QUEUED else "running"
    return {"state": word, "progress": state.progress, "process_id": process.id, "line": state.line}


def check_again(services: Services, dataset_id: int, group_by: str | None = None) -> str:
    """Start a new check, as after its owner mended a dataset; return the process id.

    Raises:
        NotFound: for an id that no dataset has.
        InvalidInput: for a feature that the dataset does not have.
        Conflict: while the last check has not ended.
    """
    record = services.database.datasets.get(dataset_id)
    process = _check_of(services, record)
    if process is not None and not process.state.is_final:
        raise Conflict(f"Dataset {dataset_id} is being checked already, by process {process.id}.")
    if group_by is not None:
        group_feature(open_dataset(record).description, group_by)
    return start_check(services, record, group_by)


def stop_check(services: Services, record: Mapping) -> None:
    """Stop the check of a dataset that is about to be deleted."""
    process = _check_of(services, record)
    if process is not None and not process.state.is_final:
        with suppress(Conflict):  # it ended in between
            stop(services, process.id)


def refuse_faulty(services: Services, record: Mapping) -> None:
    """Refuse a dataset whose newest report has errors; one whose check has not ended is left to the training's job.

    Raises:
        InvalidInput: naming the report's address and the first errors.
    """
    process = _check_of(services, record)
    report = stored_report(services.storage, record["id"])
    if report is not None and (process is None or process.state.is_final):
        warnings_of(record["id"], report)


def warnings_of(dataset_id: int, report: Mapping) -> list[str]:
    """Return the first warnings of a report.

    Raises:
        InvalidInput: if it has errors, naming its address and the first of them.
    """
    sentences: dict[str, list[str]] = {"error": [], "warning": []}
    for problem in report["problems"]:
        sentences[problem["severity"]].append(problem["message"])
    count = report["problem_counts"]["error"]
    if count:
        address = f"/backend/datasets/{dataset_id}/report"
        first = " ".join(sentences["error"][:MOST_NAMED])
        faults = "an error" if count == 1 else f"{count} errors"
        message = (
            f"Dataset {dataset_id} has {faults}: {first} GET {address} lists all; POST to it once they are mended."
        )
        raise InvalidInput(message, {"dataset_id": [message, *sentences["error"][:MOST_LOGGED]]})
    return sentences["warning"][:MOST_LOGGED]


def stored_report(storage: StorageLayout, dataset_id: int) -> dict | None:
    """Return the newest report on a dataset, None before its first check has ended."""
    with suppress(FileNotFoundError):
        return read_object(storage.report(dataset_id), Report)
    return None


def mask_rule_of(report: Mapping) -> MaskRule | None:
    """Return which class each value of a dataset's masks stands for; None where the report knows none."""
    masks = report.get("masks")
    return MaskRule.from_dict(masks["rule"]) if masks and masks.get("rule") else None


def _check_of(services: Services, record: Mapping) -> Process | None:
    process_id = record.get("check_process_id")
    if process_id is None:
        return None
    with suppress(NotFound):  # somebody emptied the folder of runs
        return find_process(services, process_id)
    return None
