"""Make sure, when a training begins, that its dataset was checked and has no errors: nobody trains on faults."""

import time
from functools import partial

from app.errors import InvalidInput, JobFailure, RunHeld
from app.jobs.datasets.checking import stored_report, warnings_of
from app.jobs.datasets.job import Progress, check, make_report
from app.jobs.worker.lifecycle import run_work
from app.runs.holding import is_held
from app.runs.layout import RunFolder, StorageLayout
from app.runs.reader import read_config, read_state
from app.runs.writer import RunWriter
from app.settings import Settings

SECONDS_BETWEEN_LOOKS = 0.2


def sound_report(
    record: dict, task_name: str, writer: RunWriter, storage: StorageLayout, settings: Settings
) -> dict | None:
    """Return the report on a dataset without errors; wait for its check, or do what nobody does.

    A lab may run a worker for trainings only, or the check's worker may have died: then the training checks.

    Args:
        record: of the dataset, as it was when the training was posted.
        task_name: `classification` or `segmentation`.
        writer: of the training's run; shows the progress, takes the report's warnings into the log.
        storage: where the report lies.
        settings: of the service.

    Returns:
        The report; None when the training was stopped meanwhile.

    Raises:
        JobFailure: naming the first errors of the report.
    """

    def show(line: str, fraction: float, eta_seconds: float | None) -> None:
        writer.progress(f"Before the training: {line}", 0.0, None)

    run = storage.run(record["check_process_id"]) if record.get("check_process_id") else None
    if run is not None:
        _see_to_its_end(run, show, writer, storage, settings)
    if writer.should_stop():
        return None
    report = stored_report(storage, record["id"])
    if report is None:
        writer.log("The dataset was not checked before: checking it now")
        room = writer.when_there_is_room
        report = make_report(record, task_name, None, storage, settings, show, writer.should_stop, room)
    if report is None:
        return None
    try:
        warnings = warnings_of(record["id"], report)
    except InvalidInput as error:
        raise JobFailure(error.message) from error
    for warning in warnings:
        writer.log(f"Warning of the dataset's report: {warning}")
    return report


def _see_to_its_end(
    run: RunFolder,
    show: Progress,
    writer: RunWriter,
    storage: StorageLayout,
    settings: Settings,
) -> None:
    """Wait while a living job works on a check; do it here if it waits in a queue, or was left by a dead worker."""
    config = read_config(run)
    while config is not None and not writer.should_stop():
        state = read_state(run)
        if state.is_final:
            return
        try:
            if is_held(run):
                raise RunHeld(state.line)
            with RunWriter(run, run.log) as check_writer:
                if not check_writer.state.is_final:
                    _check_here(config, check_writer, show, writer, storage, settings)
        except RunHeld:
            show(f"waiting for the check of the dataset - {state.line}", 0.0, None)
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _check_here(
    config: dict,
    check_writer: RunWriter,
    show: Progress,
    writer: RunWriter,
    storage: StorageLayout,
    settings: Settings,
) -> None:
    def show_both(line: str, fraction: float, eta_seconds: float | None) -> None:
        check_writer.progress(line, fraction, eta_seconds)
        show(line, fraction, eta_seconds)

    def either_stops() -> bool:
        if writer.is_interrupted:
            check_writer.interrupt()
        return writer.should_stop() or check_writer.should_stop()

    run_work(partial(check, progress=show_both, should_stop=either_stops), config, check_writer, storage, settings)
