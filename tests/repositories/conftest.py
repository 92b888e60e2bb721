import os
from pathlib import Path

import pytest

from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table


@pytest.fixture(params=[None, 3], ids=["one file", "parts"])
def placement(request, tmp_path: Path) -> Placement:
    """A table in one file, and one in parts of three records."""
    placement = Placement(tmp_path, "projects", request.param)
    prepare(placement)
    return placement


@pytest.fixture
def first_file(placement: Placement) -> Path:
    return placement.path(1)


@pytest.fixture
def repository(placement: Placement) -> Repository:
    return Repository(Table(placement, [("name",), ("name", "task_id")]), "project")


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
