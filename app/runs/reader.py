"""Reads run folders. Nothing here writes."""

from collections.abc import Iterator
from pathlib import Path

from app.errors import StorageUnavailable
from app.files import parse_json, read_json, unavailable
from app.runs.layout import RunFolder, StorageLayout
from app.runs.state import RunState

# What the service cannot do without, by the kind of the process.
NEEDED: dict[str, dict[str, type]] = {
    "training": {"description": str, "weights_id": int},
    "inference": {"description": str},
    "check": {"description": str},
}


def read_config(run: RunFolder) -> dict | None:
    """Return the frozen config of a process, or None where there is no such process.

    Raises:
        StorageUnavailable: naming the file, if it cannot be read or holds something else than a config.
    """
    try:
        config = read_json(run.config)
    except FileNotFoundError:
        return None
    kind = config.get("type") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in NEEDED:
        raise _other_content(run.config, "no config of a process")
    for name, form in NEEDED[kind].items():
        if not isinstance(config.get(name), form):
            raise _other_content(run.config, f"no {name} of the {kind}")
    return config


def read_state(run: RunFolder) -> RunState:
    """Return the state of a process that exists.

    Raises:
        FileNotFoundError: it is being made, or was deleted.
        StorageUnavailable: naming the file, if it cannot be read or holds something else than a state.
    """
    try:
        return RunState.from_dict(read_json(run.state))
    except (TypeError, ValueError) as error:
        raise _other_content(run.state, "no state of a process") from error


def _other_content(path: Path, what: str) -> StorageUnavailable:
    return StorageUnavailable(f"The file {path} holds {what}; correct it or restore a backup of it.")


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
            row = parse_json(path, line)
            if not isinstance(row, dict):
                raise _other_content(path, f"no object in line {number + 1}")
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
