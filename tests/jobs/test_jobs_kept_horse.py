import os
import signal

import psutil
import pytest

from app.jobs.worker.kept_horse import KeptHorse


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


@pytest.fixture
def horse(notes):
    """A horse that notes each order with its own process id, is fit unless told otherwise, and dies when told to."""

    def perform(order):
        with notes.open("a") as file:
            file.write(f"{order['word']} {os.getpid()}\n")
        if order["word"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order["word"] == "fail":
            raise RuntimeError("our own fault")
        return order["word"] != "leave"

    horse = KeptHorse(perform)
    yield horse
    horse.dismiss()


def done(horse, word):
    assert horse.begin({"word": word})
    return horse.wait()


def test_one_process_does_one_order_after_another(horse, notes):
    assert [done(horse, word) for word in ("first", "second")] == [(os.EX_OK, True)] * 2
    assert notes.read_text() == f"first {horse.pid}\nsecond {horse.pid}\n"


def test_the_death_of_the_process_is_told_with_its_signal(horse):
    status, stays = done(horse, "die")
    assert os.WTERMSIG(status) == signal.SIGKILL and not stays
    assert not horse.begin({"word": "first"})


def test_a_fault_outside_of_the_job_ends_the_process(horse):
    status, stays = done(horse, "fail")
    assert os.WEXITSTATUS(status) == 1 and not stays


def test_a_process_that_is_not_fit_any_more_has_still_done_its_order(horse):
    assert done(horse, "leave") == (os.EX_OK, False)
    assert not horse.begin({"word": "first"})


def test_a_process_that_died_while_it_waited_takes_no_order(horse, notes):
    os.kill(horse.pid, signal.SIGKILL)
    os.waitid(os.P_PID, horse.pid, os.WEXITED | os.WNOWAIT)
    assert not horse.begin({"word": "first"})
    assert not notes.exists()


def test_a_dismissed_process_has_ended(horse):
    done(horse, "first")
    horse.dismiss()
    assert not psutil.pid_exists(horse.pid)


class Alarm(Exception):
    pass


@pytest.fixture
def alarms():
    """An alarm after some seconds, as that by which RQ interrupts its wait."""

    def ring(signum, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.timeout(method="thread")  # the other method needs the alarm for itself
def test_no_alarm_makes_a_wait_miss_the_end(horse, alarms):
    for number in range(1000):
        assert horse.begin({"word": "again"})
        answer, interruptions = None, 0
        while answer is None:
            assert interruptions < 3_000, f"order {number} never ends"
            try:
                alarms(1e-4 + (number % 50 + interruptions) * 1e-5)  # at another moment each time, and ever later
                answer = horse.wait()
                alarms(0)
            except Alarm:
                interruptions += 1
        assert answer == (os.EX_OK, True)
        assert horse.wait() == answer  # RQ may be interrupted when it has been told
