"""A work-horse that stays for the next job, and keeps what it has loaded; RQ's own ends with each job."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from app.jobs.worker.memory import return_memory

IDLE_SECONDS = 1.0  # after which it keeps no memory but that of what it has loaded
DONE = b"done"
LEAVING = b"leaving"


class KeptHorse:
    """A forked child that does one order after another until it dies, its parent dies, or an order went wrong."""

    def __init__(self, perform: Callable[[dict], bool]):
        """Fork; in the child, `perform` does each order and tells whether the child is still fit for others."""
        self._ended: tuple[int, bool] | None = None
        self._connection, theirs = Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._connection.close()
            _serve(theirs, perform)
        theirs.close()

    def begin(self, order: dict) -> bool:
        """Hand over an order of JSON values; tell whether somebody is there to take it."""
        with suppress(OSError):
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                self._ended = None
                self._connection.send_bytes(json.dumps(order).encode())
                return True
        return False

    def wait(self) -> tuple[int, bool]:
        """Wait for the end of the order; return the exit status (0: it was done), and whether the child stays.

        RQ interrupts this by an alarm whenever it wants to look around, and then asks again: an end that has been heard
        is kept until the next order, and no alarm comes between hearing and keeping it.
        """
        if self._ended is None:
            self._connection.poll(None)
            # Not by blocking the signal: another thread of the worker would take it, and Python raise it here.
            before = signal.signal(signal.SIGALRM, _ignore)
            try:
                self._ended = self._hear()
            finally:
                signal.signal(signal.SIGALRM, before)
        return self._ended

    def _hear(self) -> tuple[int, bool]:
        try:
            if self._connection.recv_bytes() == DONE:
                return os.EX_OK, True
            os.waitpid(self.pid, 0)
            return os.EX_OK, False
        except (EOFError, ConnectionError):
            return os.waitpid(self.pid, 0)[1], False

    def dismiss(self) -> None:
        """Let it go; it has nothing to do, and ends at once."""
        self._connection.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _ignore(signum: int, frame: object) -> None:
    """Do nothing about an alarm."""


def _serve(connection: Connection, perform: Callable[[dict], bool]) -> None:
    try:
        os.setpgrp()  # as RQ's own: a Ctrl-C at the terminal is for the worker alone
        while True:
            # A shutdown that comes before the job listens to it waits for that moment.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            if not connection.poll(IDLE_SECONDS):
                return_memory()
            order = json.loads(connection.recv_bytes())
            is_fit = perform(order)
            connection.send_bytes(DONE if is_fit else LEAVING)
            if not is_fit:
                break
    except (EOFError, ConnectionError):
        pass  # the worker has gone
    except BaseException:
        os._exit(1)
    os._exit(0)
