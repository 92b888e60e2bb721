import os
from pathlib import Path

import pytest

from app.repositories.json_storage import JsonStorage
from app.repositories.repository import Repository


@pytest.fixture
def storage(tmp_path: Path) -> JsonStorage:
    storage = JsonStorage(tmp_path / "projects.json")
    storage.create()
    return storage


@pytest.fixture
def repository(storage: JsonStorage) -> Repository:
    return Repository(storage, "project")


@pytest.fixture
def names_beside():
    """Return the names in the folder of a file."""
    return lambda path: sorted(beside.name for beside in path.parent.iterdir())


@pytest.fixture
def settle():
    """Let a file look as if it was last changed an hour ago, so that it is served from memory."""

    def settle_file(path: Path) -> None:
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 3600 * 10**9))

    return settle_file
