"""Whether each run folder tells what its process is, and records and runs know each other."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from app.datasets.report.form import Report
from app.errors import StorageUnavailable
from app.files import TEMPORARY_SUFFIX, read_object
from app.runs.configs import Numbers, Prediction
from app.runs.layout import RunFolder, StorageLayout
from app.runs.reader import read_config, read_rows, read_state
from app.upkeep.finding import Finding, faulty_file, leftover
from app.upkeep.stored import Stored


def faulty_runs(storage: StorageLayout, stored: Stored) -> Iterator[Finding]:
    """Yield what is wrong with run folders, and which records lack theirs."""
    for path in storage.runs.iterdir():
        run = storage.run(path.name)
        if run is not None:
            yield from _faults_of(storage, run)
    for name in ("weights", "inferences"):
        for record_id, record in stored.records[name].items():
            if record.get("process_id") and not _has_run(storage, record["process_id"]):
                yield Finding(
                    f"db/{name}, record {record_id}",
                    f"The folder of its run, runs/{record['process_id']}, is gone, and with it the status and outputs.",
                    "Put it back from a backup, or delete the weights"
                    + (" that made it." if name == "inferences" else "."),
                )
    for mark in storage.unfinished.iterdir():
        if not (storage.runs / mark.name).is_dir():
            yield leftover(storage.root, mark, "It marks a process that has no run folder.")


def left_by_killed_writers(storage: StorageLayout) -> Iterator[Finding]:
    """Yield the temporary files of writers that were killed; a process that has not ended may still write its own."""
    for parent in (storage.runs, storage.all_weights, storage.datasets):
        for folder in parent.glob("[!.]*/"):
            if parent == storage.runs and (storage.unfinished / folder.name).exists():
                continue
            for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                yield leftover(storage.root, path, "A writer was killed while it wrote this.")


def _faults_of(storage: StorageLayout, run: RunFolder) -> Iterator[Finding]:
    place, advice = f"runs/{run.path.name}", "Put the folder back from a backup, or delete it."
    config, state = _read(read_config, run), _read(read_state, run)
    for path, form in {run.metrics: Numbers, run.report: Report}.items():
        yield from faulty_file(storage.root, path, partial(read_object, path, form), advice)
    rows = partial(read_rows, run.predictions, Prediction)
    yield from faulty_file(storage.root, run.predictions, rows, advice)
    if config is None or state is None:
        if not run.unfinished_mark.exists():
            lacking = "config.json" if config is None else "state.json"
            yield leftover(storage.root, run.path, f"It has no {lacking} that can be read, so it is no process.")
    elif isinstance(config, StorageUnavailable) or isinstance(state, StorageUnavailable):
        error = config if isinstance(config, StorageUnavailable) else state
        yield Finding(place, error.message, advice)
    elif state.is_final and run.unfinished_mark.exists():
        mend = run.unfinished_mark.unlink
        yield Finding(f"unfinished/{run.path.name}", "The process has ended.", "--repair removes the mark.", mend)
    elif not state.is_final and not run.unfinished_mark.exists():
        fault = f"It is {state.state}, but is not marked as unfinished, so nobody looks after it."
        yield Finding(place, fault, "--repair marks it; workers see to it then.", run.unfinished_mark.touch)


def _read(read: Any, run: RunFolder) -> Any:
    """Return what was read, None where there is no such file, or why it cannot be read."""
    try:
        return read(run)
    except FileNotFoundError:
        return None
    except StorageUnavailable as error:
        return error


def _has_run(storage: StorageLayout, process_id: str) -> bool:
    run = storage.run(process_id)
    return run is not None and Path(run.path).is_dir()
