import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.settings import CLONE_FOLDER
from app.temporary import remove_left_folders, temporary_folder

SCRIPT = """
import os, sys
from pathlib import Path
from app.temporary import temporary_folder
with temporary_folder("export", Path(sys.argv[1])) as folder:
    (folder / "image.png").touch()
    if os.fork() == 0:
        sys.exit()
    os.wait()
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def program(tmp_path):
    """A program with a folder of its own, whose child has ended, and the folder."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=CLONE_FOLDER, **pipes) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def names(folder):
    return [str(path) for path in folder.iterdir()]


def test_a_folder_goes_with_its_block_and_not_with_a_child(tmp_path, program):
    process, folder = program
    assert names(tmp_path) == [folder]

    process.communicate("\n")
    assert names(tmp_path) == []


def test_one_in_use_stays_and_what_a_killed_program_left_goes(tmp_path, program):
    process, folder = program
    remove_left_folders(tmp_path)
    assert names(tmp_path) == [folder]

    process.kill()
    process.wait()
    remove_left_folders(tmp_path)
    assert names(tmp_path) == []


def test_a_folder_in_use_by_this_program_stays_until_its_block_ends(tmp_path):
    with temporary_folder("export", tmp_path) as folder:
        remove_left_folders(tmp_path)
        assert folder.is_dir()
    assert names(tmp_path) == []


def test_nothing_else_goes(tmp_path):
    others = {tmp_path / "dht-0-1a2b", tmp_path / "dht-export-1", tmp_path / "x.held"}
    for folder in others:
        folder.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "dht-export-1.held"
    link.symlink_to(outside)

    remove_left_folders(tmp_path)

    assert set(tmp_path.iterdir()) == {*others, outside, link}


def test_what_others_left_and_what_a_link_names_stay(tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "dht-link-1.held").symlink_to(kept)
    remove_left_folders(tmp_path)
    assert (tmp_path / "dht-link-1.held").is_symlink()

    left = tmp_path / "dht-left-1.held"
    left.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
        remove_left_folders(tmp_path)
    assert left.is_dir()

    remove_left_folders(tmp_path)
    assert not left.exists() and kept.is_dir()


@pytest.mark.parametrize("step", ["before the folder is opened", "before it is locked", "while another locks it"])
def test_a_folder_that_is_taken_for_a_left_one_is_made_anew(tmp_path, monkeypatch, step):
    flock, made, taken = fcntl.flock, tempfile.mkdtemp, []

    def make(*arguments):
        folder = made(*arguments)
        if not taken:
            taken.append(folder)
            if step == "before the folder is opened":
                Path(folder).rmdir()
        return folder

    def lock(descriptor, operation):
        if len(taken) == 1 and step != "before the folder is opened":
            taken.append(taken[0])
            if step == "while another locks it":
                raise BlockingIOError
            Path(taken[0]).rmdir()
        flock(descriptor, operation)

    monkeypatch.setattr("tempfile.mkdtemp", make)
    monkeypatch.setattr("fcntl.flock", lock)
    with temporary_folder("test", tmp_path) as folder:
        assert folder.is_dir() and str(folder) != taken[0]
