"""A lock that keeps both the threads of a process and the processes of a machine from writing at the same time."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.files import unavailable


class FileLock:
    """The lock on a file beside the one that it protects.

    The system frees it when its holder dies, however that happens, so no lock is ever left behind; the empty file is.
    """

    def __init__(self, path: Path):
        self.path = path
        # Where a network file system stands in for flock, it keeps processes apart and not threads.
        self._threads = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            StorageUnavailable: when the lock file cannot be made.
            RuntimeError: when this thread holds it already; waiting would never end.
        """
        if self._holder == threading.get_ident():
            raise RuntimeError(f"{self.path} is held by this thread already: one transaction was begun inside another.")
        with self._threads:
            descriptor = self._acquire()
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
                _release(descriptor)

    def _acquire(self) -> int:
        try:
            while True:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
                if self._lock(descriptor):
                    return descriptor
        except OSError as error:
            raise unavailable(self.path, "locked", error) from error

    def _lock(self, descriptor: int) -> bool:
        """Lock the open file, and close it again if somebody deleted it while we waited."""
        is_locked = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            is_locked = self._is_in_place(descriptor)
        finally:
            if not is_locked:
                os.close(descriptor)
        return is_locked

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def _release(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: a child forked meanwhile has a copy
    os.close(descriptor)
