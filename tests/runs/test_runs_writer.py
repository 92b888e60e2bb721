import errno
import json
import threading
from pathlib import Path

import pytest
from run_configs import INFERENCE as CONFIG
from waiting import PATIENCE_SECONDS, wait_until

from app.errors import StorageUnavailable
from app.runs.layout import StorageLayout
from app.runs.reader import count_rows, read_config, read_lines, read_rows, read_state
from app.runs.state import FAILED, FINISHED, QUEUED, STARTED, STOPPED, STOPPING
from app.runs.writer import RunWriter, append_row, create_run, request_stop, write_final_state

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"


@pytest.fixture
def run(tmp_path):
    run = StorageLayout(tmp_path).run(PROCESS_ID)
    create_run(run, CONFIG)
    return run


def test_a_new_run_waits_in_the_queue(run):
    assert read_config(run) == CONFIG
    assert read_state(run).state == QUEUED


def test_of_a_run_that_cannot_be_made_nothing_is_left(tmp_path):
    storage = StorageLayout(tmp_path)
    storage.runs.touch()
    run = storage.run(PROCESS_ID)

    with pytest.raises(StorageUnavailable, match=f"{PROCESS_ID} cannot be made"):
        create_run(run, CONFIG)

    assert not run.unfinished_mark.exists() and run.unfinished_mark.parent.is_dir()


def test_a_run_goes_from_started_to_finished_and_keeps_its_lines(run):
    with RunWriter(run, run.log) as writer:
        assert read_state(run).state == STARTED
        writer.progress("Train 1/2", 0.5, 12.0, is_kept=True)
        assert (read_state(run).progress, read_state(run).eta_seconds) == (0.5, 12.0)
        writer.log("a line")
        writer.close(FINISHED, "Finished 2/2")

    state = read_state(run)
    assert (state.state, state.line, state.progress, state.eta_seconds) == (FINISHED, "Finished 2/2", 1.0, None)
    assert read_lines(run) == ["Train 1/2", "Finished 2/2"]
    assert run.log.read_text().endswith("  a line\n")


def test_a_failed_run_keeps_its_progress_and_says_why(run):
    with RunWriter(run, run.log) as writer:
        writer.progress("Train 1/2", 0.4, 3.0, is_kept=True)
        writer.close(FAILED, "Failed: no memory", "no memory")

    assert (read_state(run).progress, read_state(run).error) == (0.4, "no memory")


def test_a_stopped_run_keeps_its_progress(run):
    with RunWriter(run, run.log) as writer:
        writer.progress("Train 1/4", 0.25, 3.0, is_kept=True)
        writer.close(STOPPED, "Stopped at epoch 2/4")

    assert read_state(run).progress == 0.25


def test_nothing_is_written_after_the_end(run):
    with RunWriter(run, run.log) as writer:
        writer.close(STOPPED, "Stopped")
        writer.progress("late", 0.9, 1.0, is_kept=True)
        writer.close(FINISHED, "Finished")

    assert (read_state(run).state, read_state(run).line) == (STOPPED, "Stopped")
    write_final_state(run, FAILED, "Failed")
    assert read_state(run).state == STOPPED


def test_a_stop_request_is_seen_and_shown(run):
    with RunWriter(run, run.log) as writer:
        assert not writer.should_stop()
        request_stop(run)
        assert writer.should_stop() and not writer.is_interrupted
        writer.progress("Train 1/2", 0.1, None, is_kept=True)
        assert read_state(run).state == STOPPING


def test_a_job_that_does_not_react_is_ended_after_its_grace(run):
    ended = threading.Event()
    with RunWriter(run, run.log, stop_grace_seconds=0.0, on_overdue_stop=ended.set):
        request_stop(run)
        assert ended.wait(PATIENCE_SECONDS)


def test_the_heart_beats_while_the_job_is_busy(run, monkeypatch):
    monkeypatch.setattr("app.runs.writer.HEARTBEAT_SECONDS", 0.1)
    with RunWriter(run, run.log):
        first = read_state(run).heartbeat
        wait_until(lambda: read_state(run).heartbeat > first)


def test_rows_are_read_by_page_and_a_half_written_last_one_is_left_out(tmp_path):
    path = tmp_path / "predictions.jsonl"
    for index in range(5):
        append_row(path, {"index": index})
    with path.open("a") as stream:
        stream.write(json.dumps({"index": 5})[:4])

    assert count_rows(path) == 5
    assert read_rows(path, dict[str, int], 3) == [{"index": 3}, {"index": 4}]
    assert read_rows(path, dict[str, int], 1, 2) == [{"index": 1}, {"index": 2}]
    assert read_rows(tmp_path / "absent.jsonl", dict[str, int]) == []


@pytest.mark.parametrize("text", ["", "..", "../../etc", PROCESS_ID.upper(), PROCESS_ID + "/x", "1" * 36])
def test_only_a_process_id_of_ours_names_a_folder(tmp_path, text):
    assert StorageLayout(tmp_path).run(text) is None


@pytest.mark.parametrize("content", [b"[1]\n", b'{"index": 1\n', b'{"index": "1"}\n', b"\xff\n"])
def test_a_file_of_rows_that_holds_something_else_is_named(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    with pytest.raises(StorageUnavailable, match="jsonl"):
        read_rows(path, dict[str, int])


def test_a_folder_in_the_place_of_a_file_of_lines_is_named(run):
    run.progress_lines.mkdir()

    with pytest.raises(StorageUnavailable, match="Is a directory"):
        read_lines(run)


def test_a_state_that_another_machine_replaces_just_now_is_read_anew(run, monkeypatch):
    read, stale = Path.read_bytes, [run.state]

    def read_bytes(path):
        if path in stale:  # as NFS answers once for a file that was replaced since it was looked up
            stale.remove(path)
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)

    assert read_state(run).state == QUEUED and not stale
