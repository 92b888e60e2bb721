"""Reads run folders. Nothing here writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.files import damaged, parse_json, read_content, read_object, unavailable
from app.forms import fault_in
from app.runs.configs import RUNS, RunOfAnyKind
from app.runs.layout import RunFolder, StorageLayout
from app.runs.state import STATES, RunState


def read_config(run: RunFolder) -> dict | None:
    """Return the frozen config of a process, or None where there is no such process.

    Raises:
        StorageUnavailable: naming the file, if it cannot be read; StorageDamaged, if it holds something else.
    """
    try:
        config = read_object(run.config, RunOfAnyKind)
    except FileNotFoundError:
        return None
    if fault := fault_in(config, RUNS[config["type"]]):
        raise damaged(run.config, f"has a fault: {fault}")
    return config


def read_state(run: RunFolder) -> RunState:
    """Return the state of a process that exists.

    Raises:
        FileNotFoundError: it is being made, or was deleted.
        StorageUnavailable: naming the file, if it cannot be read; StorageDamaged, if it holds something else.
    """
    return state_in(run.state, read_content(run.state))


def state_in(path: Path, text: bytes) -> RunState:
    """Return the state that was read from this file; raises StorageDamaged as `read_state`."""
    values = parse_json(path, text)
    fault = fault_in(values, RunState)
    if fault is None and values["state"] not in STATES:
        fault = f"at state one of {', '.join(sorted(STATES))} is expected"
    if fault:
        raise damaged(path, f"has a fault: {fault}")
    return RunState.from_dict(values)


def unfinished_processes(storage: StorageLayout) -> list[str]:
    """Return the ids of the processes that have not ended, and perhaps of some that just have."""
    try:
        return sorted(mark.name for mark in storage.unfinished.iterdir())
    except FileNotFoundError:
        return []


def read_lines(run: RunFolder) -> list[str]:
    """Return every progress line that was kept, oldest first."""
    return _text_lines(run.progress_lines)


def read_rows(path: Path, form: Any, start: int = 0, count: int | None = None) -> list[dict]:
    """Return the rows of a JSON-lines file from `start`; a last line that is still being written is left out.

    Raises:
        StorageUnavailable: naming the file, if it cannot be read; StorageDamaged, if a row has not this form.
    """
    rows: list[dict] = []
    for number, line in enumerate(_whole_lines(path)):
        if count is not None and len(rows) == count:
            break
        if number >= start:
            row = parse_json(path, line)
            if fault := fault_in(row, form):
                raise damaged(path, f"has a fault in line {number + 1}: {fault}")
            rows.append(row)
    return rows


def count_rows(path: Path) -> int:
    """Return the number of whole rows of a JSON-lines file."""
    return sum(1 for _ in _whole_lines(path))


def _text_lines(path: Path) -> list[str]:
    return [line.decode(errors="replace").rstrip("\n") for line in _whole_lines(path)]


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise unavailable(path, "read", error) from error
