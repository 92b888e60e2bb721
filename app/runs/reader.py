"""Reads run folders. Nothing here writes."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from app.files import read_json
from app.runs.layout import RunFolder, StorageLayout
from app.runs.state import RunState


def read_config(run: RunFolder) -> dict | None:
    """Return the frozen config of a process, or None where there is no such process."""
    try:
        return read_json(run.config)
    except FileNotFoundError:
        return None


def read_state(run: RunFolder) -> RunState:
    """Return the state of a process that exists."""
    return RunState.from_dict(read_json(run.state))


def unfinished_processes(storage: StorageLayout) -> list[str]:
    """Return the ids of the processes that have not ended, and perhaps of some that just have."""
    try:
        return sorted(mark.name for mark in storage.unfinished.iterdir())
    except FileNotFoundError:
        return []


def read_lines(run: RunFolder) -> list[str]:
    """Return every progress line that was kept, oldest first."""
    return _text_lines(run.progress_lines)


def read_rows(path: Path, start: int = 0, count: int | None = None) -> list[dict]:
    """Return the rows of a JSON-lines file from `start`; a last line that is still being written is left out."""
    rows: list[dict] = []
    for number, line in enumerate(_whole_lines(path)):
        if count is not None and len(rows) == count:
            break
        if number >= start:
            rows.append(orjson.loads(line))
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
