"""Processes whose job died or was lost, found without a worker and without waiting: the clock is the test's own."""

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from test_jobs_submission import dataset, projects, request_body

from app.errors import NotFound, StorageUnavailable
from app.files import write_json
from app.jobs.processes import following
from app.jobs.queue import JobQueue
from app.jobs.training.start import start_training
from app.jobs.worker.deaths import reason_of_death
from app.jobs.worker.recovery import Recovery
from app.pids import machine_id
from app.runs.reader import read_config, read_state, unfinished_processes
from app.runs.state import FAILED, FINISHED, QUEUED, STARTED, STOPPED, STOPPING, RunState
from app.runs.writer import RunWriter, request_stop

__all__ = ["dataset", "projects", "request_body"]

KILLED = signal.SIGKILL  # what os.wait tells of a process that this signal ended


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recovery(services, clock):
    return Recovery(services.storage, services.queue, 2, clock)


@pytest.fixture
def process_id(services, request_body):
    return start_training(services, request_body)["process_id"]


@pytest.fixture
def run(services, process_id):
    return services.storage.run(process_id)


def set_state(run, **values):
    write_json(run.state, RunState(**values).to_dict())


def lose(services, process_id):
    services.queue.withdraw("training", process_id)


def sweep_for(recovery, clock, seconds):
    recovery.sweep()
    clock.seconds += seconds
    recovery.sweep()


def test_a_waiting_process_that_redis_lost_is_queued_again(services, recovery, clock, process_id):
    lose(services, process_id)

    recovery.sweep()
    assert services.queue.position("training", process_id) is None  # a worker may have taken it a moment ago
    clock.seconds += 5
    recovery.sweep()

    assert services.queue.position("training", process_id) == 1


def test_a_started_process_of_this_machine_whose_lock_is_free_waits_again_in_front(
    services, recovery, clock, process_id, run, request_body
):
    other = start_training(services, request_body)["process_id"]
    lose(services, process_id)
    set_state(run, state=STARTED, progress=0.4, started_at=1.0, heartbeat=time.time(), machine=machine_id())

    sweep_for(recovery, clock, 3)

    state = read_state(run)
    assert (state.state, state.interruptions, state.progress) == (QUEUED, 1, 0.4)
    assert state.line.startswith("Interrupted (1 of at most 2 times): ") and "its last checkpoint" in state.line
    assert state.line in services.storage.weights(1).log.read_text()
    sweep_for(recovery, clock, 5)
    assert [services.queue.position("training", name) for name in (process_id, other)] == [1, 2]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_of_another_machine_silence_tells_whatever_its_clock_says(services, recovery, clock, process_id, run, jump):
    lose(services, process_id)
    beat = time.time() + jump
    set_state(run, state=STARTED, heartbeat=beat, machine="another")
    sweep_for(recovery, clock, 10)
    set_state(run, state=STARTED, heartbeat=beat + 5, machine="another")
    sweep_for(recovery, clock, 10)
    assert read_state(run).state == STARTED

    clock.seconds += 10
    recovery.sweep()

    assert read_state(run).state == QUEUED


def test_a_job_that_is_suspended_is_not_dead(services, recovery, clock, process_id, run):
    lose(services, process_id)
    with RunWriter(run, run.log):
        sweep_for(recovery, clock, 86_400)
        assert read_state(run).state == STARTED


def test_after_too_many_interruptions_it_is_told_as_failed_with_the_last_reason(recovery, process_id, run):
    for count in (1, 2):
        set_state(run, state=STARTED, interruptions=count - 1)
        recovery.close_dead(process_id, KILLED, is_for_memory=True)
        assert (read_state(run).state, read_state(run).interruptions) == (QUEUED, count)
    set_state(run, state=STARTED, interruptions=2)

    recovery.close_dead(process_id, KILLED, is_for_memory=True)

    state = read_state(run)
    assert state.state == FAILED and "interrupted 3 times" in state.error and "memory was used up" in state.error


def test_what_was_to_stop_is_stopped_and_does_not_go_on(recovery, process_id, run):
    set_state(run, state=STOPPING)
    request_stop(run)

    recovery.close_dead(process_id, KILLED, is_for_memory=None)

    assert read_state(run).state == STOPPED


def test_a_stop_that_was_left_for_a_lost_process_ends_it(services, recovery, clock, process_id, run):
    lose(services, process_id)
    request_stop(run)

    sweep_for(recovery, clock, 5)

    assert read_state(run).state == STOPPED and services.queue.position("training", process_id) is None


def test_an_ended_process_is_left_alone_and_no_longer_looked_at(services, recovery, process_id, run):
    lose(services, process_id)
    set_state(run, state=FINISHED)
    assert process_id in unfinished_processes(services.storage)

    recovery.close_dead(process_id, KILLED, is_for_memory=None)
    recovery.sweep()

    assert read_state(run).state == FINISHED
    assert process_id not in unfinished_processes(services.storage)


def test_a_sweep_looks_after_more_lost_processes_than_are_remembered_for_who_asks(services, clock, request_body):
    recovery = Recovery(services.storage, services.queue, 2, clock, most_watched=2)
    lost = [start_training(services, request_body)["process_id"] for _ in range(5)]
    for name in lost:
        lose(services, name)

    sweep_for(recovery, clock, 5)

    assert set(lost) <= services.queue.waiting()


def test_of_the_processes_that_somebody_asks_for_the_last_are_remembered(services, clock, request_body):
    recovery = Recovery(services.storage, services.queue, 2, clock, most_watched=2)
    names = [start_training(services, request_body)["process_id"] for _ in range(5)]
    runs = [services.storage.run(name) for name in names]
    for run in runs:
        set_state(run, state=STARTED, machine="another")

    def asked_for(name, run):
        return recovery.true_state(name, run, read_config(run), read_state(run)).state

    for name, run in zip(names, runs, strict=True):
        asked_for(name, run)
    clock.seconds += 20

    assert asked_for(names[-1], runs[-1]) == QUEUED
    assert asked_for(names[0], runs[0]) == STARTED  # forgotten, and looked at anew from now on


@pytest.fixture
def read_only(services):
    """Make the storage folder read-only; as root, for whom permissions do not count, by a mount over it."""
    folder = str(services.storage.root)
    mounted = []

    def make():
        if os.geteuid():
            subprocess.run(["chmod", "-R", "a-w", folder], check=True)
            return
        bound = subprocess.run(["mount", "--bind", folder, folder], check=False)
        if bound.returncode:
            pytest.skip("this root may not mount")
        mounted.append(folder)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)
    if not os.geteuid():
        return
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)


def test_on_read_only_storage_who_asks_is_told_that_the_job_died(services, clock, process_id, run, read_only):
    services = replace(services, recovery=Recovery(services.storage, services.queue, 2, clock))
    lose(services, process_id)
    with RunWriter(run, run.log):
        pass  # it ends without a final state, as one that is killed
    read_only()
    assert following.find_process(services, process_id).state.state == STARTED
    clock.seconds += 3

    state = following.find_process(services, process_id).state

    assert state.state == QUEUED and state.line.startswith("Interrupted (1 of at most 2 times): ")
    assert read_state(run).state == STARTED
    assert [fault for fault in services.recovery.sweep() if "Read-only" in fault or "Permission" in fault]


def test_on_read_only_storage_a_job_that_lives_is_told_as_such(services, clock, process_id, run, read_only):
    services = replace(services, recovery=Recovery(services.storage, services.queue, 2, clock))
    with RunWriter(run, run.log):
        read_only()
        for _ in range(2):
            assert following.find_process(services, process_id).state.state == STARTED
            clock.seconds += 60


def test_without_redis_the_states_become_true_all_the_same(services, clock, process_id, run):
    cut_off = Recovery(services.storage, JobQueue("redis://127.0.0.1:1/0"), 2, clock)
    set_state(run, state=STARTED, machine=machine_id())

    sweep_for(cut_off, clock, 3)

    assert read_state(run).state == QUEUED


def test_of_many_who_find_a_dead_process_one_counts(services, process_id, run):
    set_state(run, state=STARTED)
    finders = [Recovery(services.storage, services.queue, 9) for _ in range(8)]
    threads = [threading.Thread(target=finder.close_dead, args=(process_id, KILLED, None)) for finder in finders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (read_state(run).state, read_state(run).interruptions) == (QUEUED, 1)


def test_a_stop_needs_no_redis(services, process_id, run):
    services.queue.hangs_until = time.monotonic() + 60

    assert following.stop(services, process_id) == "Training stopped"

    assert read_state(run).state == STOPPED


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_stop_of_a_process_that_is_deleted_meanwhile_finds_none(services, process_id, run, has_folder):
    class Deleting(Recovery):
        def true_state(self, process_id, run, config, state):
            shutil.rmtree(run.path)
            if has_folder:
                run.path.mkdir()
            return state

    deleting = replace(services, recovery=Deleting(services.storage, services.queue, 2))
    with pytest.raises(NotFound, match="There is no process"):
        following.stop(deleting, process_id)


def test_a_stop_of_a_running_process_may_be_sent_twice(services, process_id, run):
    with RunWriter(run, run.log) as writer:
        assert [following.stop(services, process_id) for _ in range(2)] == ["Training stopped"] * 2
        assert writer.should_stop()
        writer.close(STOPPED, "Stopped")


@pytest.mark.parametrize(
    ("status", "is_for_memory", "words"),
    [
        (signal.SIGKILL, True, "the system ended it (signal 9), for memory was used up; lower Batch size"),
        (signal.SIGKILL, False, "it was killed (signal 9), and not by the system"),
        (signal.SIGKILL, None, "most likely the machine ran out of memory; lower Batch size"),
        (signal.SIGSEGV, None, "it crashed (SIGSEGV, signal 11)"),
        (3 << 8, None, "it ended unexpectedly with exit status 3"),
    ],
)
def test_the_reason_of_a_death_is_told_as_far_as_it_is_known(status, is_for_memory, words):
    assert words in reason_of_death(status, is_for_memory, "training")


@pytest.mark.parametrize("file", ["state", "config"])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"state": 5, "type": 5}', b'{"state": "star', b"\xff\0"]
)
def test_files_that_nobody_understands_are_named_and_keep_no_other_process_from_being_seen_to(
    services, recovery, clock, process_id, run, request_body, file, content
):
    other = start_training(services, request_body)["process_id"]
    lose(services, other)
    lose(services, process_id)
    damaged = getattr(run, file)
    damaged.write_bytes(content)

    recovery.sweep()
    clock.seconds += 5
    faults = recovery.sweep()

    assert len(faults) == 1 and str(damaged) in faults[0]
    assert services.queue.position("training", other) == 1
    assert damaged.read_bytes() == content
    with pytest.raises(StorageUnavailable, match=damaged.name):
        following.find_process(services, process_id)


@pytest.mark.parametrize(
    "values",
    [{"state": "running"}, {"progress": "half"}, {"started_at": "noon"}, {"line": 1}, {"machine": []}, {"error": {}}],
)
def test_a_state_with_wrong_values_is_refused(run, values):
    write_json(run.state, RunState(QUEUED).to_dict() | values)

    with pytest.raises(StorageUnavailable, match=f"state.json has a fault: at {next(iter(values))} "):
        read_state(run)
