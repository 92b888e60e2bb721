"""Drafts of datasets, and what is left of those whose makers die."""

import signal
import subprocess
import sys

import pytest

from app.errors import StorageUnavailable
from app.jobs.drafts import draft_folder, remove_abandoned

DIE = """
import os, signal, sys
from pathlib import Path
from app.jobs.drafts import draft_folder
with draft_folder(Path(sys.argv[1])) as draft:
    (draft / "files").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_draft_becomes_a_dataset_or_is_gone(tmp_path):
    with draft_folder(tmp_path) as draft:
        (draft / "x").write_text("1")
        draft.rename(tmp_path / "7")
    assert (tmp_path / "7/x").read_text() == "1"
    with pytest.raises(RuntimeError), draft_folder(tmp_path) as draft:
        (draft / "x").write_text("1")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


def test_what_a_killed_process_left_is_removed_and_a_living_one_keeps_its_own(tmp_path):
    died = subprocess.run([sys.executable, "-c", DIE, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 1
    with draft_folder(tmp_path) as draft:
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [draft]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StorageUnavailable, match="cannot be written"), draft_folder(tmp_path / "absent"):
        pass
