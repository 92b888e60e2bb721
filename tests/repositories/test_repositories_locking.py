import fcntl
import os
import threading
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS, wait_until

from app.errors import StorageUnavailable
from app.repositories.locking import FileLock

OPEN_FILES = Path("/proc/self/fd")


def is_free(path) -> bool:
    """Ask the system, as another process would."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def times_opened(path) -> int:
    return sum(link.resolve() == path for link in OPEN_FILES.iterdir())


def test_the_lock_is_held_in_the_block_and_free_after_it(tmp_path):
    lock = FileLock(tmp_path / "a.lock")
    for _ in range(2):
        with lock.hold():
            assert not is_free(lock.path)
        assert is_free(lock.path)


def test_an_error_in_the_block_frees_the_lock(tmp_path):
    lock = FileLock(tmp_path / "a.lock")
    with pytest.raises(ZeroDivisionError), lock.hold():
        raise ZeroDivisionError
    assert is_free(lock.path)


def test_a_thread_waits_for_another_thread(tmp_path):
    lock = FileLock(tmp_path / "a.lock")
    order = []

    def follow():
        with lock.hold():
            order.append("second")

    with lock.hold():
        thread = threading.Thread(target=follow)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(PATIENCE_SECONDS)
    assert order == ["first", "second"]


def test_a_lock_inside_the_same_lock_is_an_error_and_does_not_hang(tmp_path):
    lock = FileLock(tmp_path / "a.lock")
    with lock.hold(), pytest.raises(RuntimeError, match=r"a\.lock is held by this thread already"), lock.hold():
        pytest.fail("the lock was given twice")
    assert is_free(lock.path)


def test_a_child_forked_meanwhile_does_not_keep_the_lock(tmp_path):
    lock = FileLock(tmp_path / "a.lock")
    reading, writing = os.pipe()
    with lock.hold():
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent closes its end
            os._exit(0)
    was_free = is_free(lock.path)
    os.close(writing)
    os.waitpid(child, 0)
    os.close(reading)
    assert was_free


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs /proc to see that the lock is waited for")
def test_who_waited_for_a_deleted_lock_file_locks_the_new_one(tmp_path):
    path = tmp_path / "a.lock"
    first, second = FileLock(path), FileLock(path)
    has_lock, may_end = threading.Event(), threading.Event()

    def follow():
        with second.hold():
            has_lock.set()
            may_end.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=follow)
    with first.hold():
        thread.start()
        wait_until(lambda: times_opened(path) == 2, pause=0.002)
        path.unlink()
    try:
        assert has_lock.wait(PATIENCE_SECONDS)
        assert not is_free(path)
    finally:
        may_end.set()
        thread.join(PATIENCE_SECONDS)


def test_a_lock_file_that_cannot_be_made_is_named(tmp_path):
    lock = FileLock(tmp_path / "absent" / "a.lock")
    with pytest.raises(StorageUnavailable, match=r"absent/a\.lock cannot be locked \(No such file"), lock.hold():
        pytest.fail("there is no lock")
