"""Records and runs name places in the storage folder by full paths; where it lies elsewhere now, so do those."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.files import read_json, write_json
from app.runs.layout import RunFolder, StorageLayout

FIELDS = ("path", "folder", "logfile")


def relocate(storage: StorageLayout, before: Path, after: Path) -> None:
    """Let what names a place below the one folder name the same place below the other."""
    if before == after:
        return
    for path in _files(storage):
        content = read_json(path)
        if _change(content, str(before), str(after)):
            write_json(path, content)


def _files(storage: StorageLayout) -> Iterator[Path]:
    for name in ("datasets", "weights"):
        yield from (storage.records / name).glob("*.json")
    for folder in storage.runs.glob("*/"):
        run = RunFolder(folder)
        if run.config.exists():
            yield run.config


def _change(value: Any, before: str, after: str) -> bool:
    """Change the places anywhere in the value; tell whether there were any."""
    is_changed = False
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in FIELDS and isinstance(inner, str) and (inner == before or inner.startswith(before + "/")):
                value[name] = after + inner.removeprefix(before)
                is_changed = True
            elif _change(inner, before, after):
                is_changed = True
    elif isinstance(value, list):
        is_changed = sum(_change(inner, before, after) for inner in value) > 0
    return is_changed
