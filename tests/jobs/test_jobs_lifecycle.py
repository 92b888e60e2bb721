"""Jobs that a stop does not reach, each in a process of its own."""

import os
import shutil
import signal
import threading
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from run_configs import INFERENCE

from app.errors import JobFailure, PartKilled, StorageUnavailable, ToolkitError
from app.jobs.worker.lifecycle import run_job, run_work
from app.runs.layout import StorageLayout
from app.runs.reader import read_state
from app.runs.state import FINISHED, QUEUED, STARTED, STOPPED
from app.runs.writer import RunWriter, create_run, request_stop, write_state
from app.settings import Settings

LAST_LINE = "Finished 3/3 epochs - without an ONNX file"


def blocks(config, writer, storage, settings):
    request_stop(writer.run)
    threading.Event().wait()


def blocks_when_all_is_done(config, writer, storage, settings):
    writer.ending = FINISHED, LAST_LINE
    blocks(config, writer, storage, settings)


def loses_a_part(config, writer, storage, settings):
    raise PartKilled("One of the processes died.", signal.SIGSEGV)


@pytest.fixture
def done(tmp_path, monkeypatch):
    """Do work as the job of a new process, in a child; return its run folder and exit code, negative for a signal."""
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path))

    def do(work):
        process_id = str(uuid.uuid4())
        run = StorageLayout(tmp_path).run(process_id)
        create_run(run, INFERENCE)
        child = os.fork()
        if child == 0:
            with suppress(ToolkitError):
                run_job(process_id, work)
            os._exit(1)
        return run, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return do


@pytest.mark.parametrize(("work", "state"), [(blocks, STOPPED), (blocks_when_all_is_done, FINISHED)])
def test_a_job_that_does_not_stop_is_ended_after_its_grace(done, monkeypatch, work, state):
    monkeypatch.setenv("STOP_GRACE_SECONDS", "1")
    run, code = done(work)

    assert code == -signal.SIGKILL
    ended = read_state(run)
    assert ended.state == state
    assert ended.line == LAST_LINE if state == FINISHED else ended.line.startswith("Stopped by force")


def test_a_job_a_part_of_which_was_killed_dies_as_that_did_and_is_not_closed(done):
    run, code = done(loses_a_part)

    assert code == -signal.SIGSEGV
    assert read_state(run).state == STARTED and "One of the processes died" in run.log.read_text()


def goes_on_as_another(config, writer, storage, settings):
    write_state(writer.run, replace(writer.state, interruptions=1, line="another"))  # as after a new start elsewhere
    while True:
        writer.progress("this one", 0.5, None, is_kept=True)


def waits_while_another_goes_on(config, writer, storage, settings):
    write_state(writer.run, replace(writer.state, interruptions=1, line="another"))
    threading.Event().wait()


@pytest.mark.parametrize("work", [goes_on_as_another, waits_while_another_goes_on])
def test_a_job_whose_place_another_has_taken_ends_and_changes_nothing(done, work):
    run, code = done(work)

    assert code == 0
    left = read_state(run)
    assert (left.state, left.line, left.interruptions) == (STARTED, "another", 1)
    assert "another one goes on" in run.log.read_text()


def loses_its_folder(config, writer, storage, settings):
    shutil.rmtree(writer.run.path)
    raise JobFailure("an image cannot be read")


def finishes_without_its_folder(config, writer, storage, settings):
    shutil.rmtree(writer.run.path)
    return FINISHED, LAST_LINE


@pytest.mark.parametrize("work", [loses_its_folder, finishes_without_its_folder])
def test_a_job_whose_folder_was_deleted_waits_for_nothing(done, work):
    run, code = done(work)

    assert code == 1 and not run.path.exists()


def says_how_readily_it_is_ended(config, writer, storage, settings):
    return FINISHED, Path("/proc/self/oom_score").read_text()


def test_without_memory_the_system_ends_a_job_rather_than_its_worker(done):
    run, _ = done(says_how_readily_it_is_ended)

    assert int(read_state(run).line) > int(Path("/proc/self/oom_score").read_text())


@pytest.mark.parametrize("name", ["", "runs", "weights", "weights/1"])
def test_a_job_whose_folders_cannot_be_used_waits_until_they_can_and_then_in_the_queue(tmp_path, name):
    storage = StorageLayout(tmp_path / "storage")
    run = storage.run(str(uuid.uuid4()))
    create_run(run, INFERENCE)
    storage.weights(INFERENCE["weights_id"]).path.mkdir(parents=True)
    there, elsewhere = storage.root / name, tmp_path / "elsewhere"

    class Writer(RunWriter):
        """One that finds the folder back at its second try."""

        def when_there_is_room(self, write):
            with pytest.raises(StorageUnavailable):
                write()
            there.unlink()
            elsewhere.rename(there)
            super().when_there_is_room(write)

    def misses_the_weights(config, writer, storage, settings):
        there.rename(elsewhere)
        there.touch()  # root may enter every folder, and this nobody
        raise JobFailure("best.pt cannot be read")

    with Writer(run, run.log) as writer:
        failure = run_work(misses_the_weights, INFERENCE, writer, storage, Settings(storage_dir=storage.root))

    left = read_state(run)
    assert failure is None and left.state == QUEUED and "the storage folder could not be used" in left.line
    assert "best.pt cannot be read" in run.log.read_text()
