"""Who may work on a run, or change its state from outside: one at a time, on all machines that share the storage."""

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.errors import RunHeld
from app.files import unavailable
from app.runs.layout import RunFolder

# Another may look for a moment whether the run is held; a job that is about to begin waits that long.
JOB_PATIENCE_SECONDS = 3.0
SECONDS_BETWEEN_TRIES = 0.02
NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def hold(run: RunFolder, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold a run while the block runs. The system frees it when its holder dies, however that happens.

    A network file system passes flock on to its server (NFS does so since Linux 2.6.12, unless it is mounted with
    nolock or local_lock), so that machines keep each other away too. One without locks keeps nobody away.

    Raises:
        RunHeld: when another holds it after this time.
        StorageUnavailable: when there is no lock file and none can be made, as in a folder that was deleted.
    """
    deadline = time.monotonic() + patience_seconds
    with _opened(run.alive) as lock_file:
        while not _is_locked(lock_file.fileno()):
            if time.monotonic() >= deadline:
                raise RunHeld(f"Another job works on process {run.path.name}.")
            time.sleep(SECONDS_BETWEEN_TRIES)
        try:
            yield
        finally:
            _unlock(lock_file.fileno())


def is_held(run: RunFolder) -> bool:
    """Tell whether a living job holds the run; one that sleeps or is suspended does."""
    if not run.alive.exists():
        return False
    try:
        with hold(run):
            return False
    except RunHeld:
        return True


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("ab")
    except OSError as error:
        if error.errno in READ_ONLY:
            with suppress(OSError):  # locked all the same: who looks for a living job has nothing to write
                return path.open("rb")
        raise unavailable(path, "locked", error) from error


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
    return True


def _unlock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: a child forked meanwhile has a copy
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
