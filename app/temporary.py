"""Temporary folders that go with the program that made them, even if it is killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "dht-"
SUFFIX = ".held"


@contextmanager
def temporary_folder(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """Lend a new folder, and remove it after the block.

    It is locked for as long as this program, or a child that it forks meanwhile, lives: what is there without a lock
    was left by a killed one, and `remove_left_folders` takes it away. A lock tells that better than the number of a
    process, which another one, or one of another container, may have.

    Args:
        purpose: one word, for those who look into the folder of temporary files.
        parent: the folder of temporary files if not given.
    """
    folder, lock = _made(purpose, parent)
    maker = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == maker:  # not a child that ends
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_left_folders(parent: Path | None = None) -> None:
    """Remove what killed programs of this user have left.

    Args:
        parent: the folder of temporary files if not given.
    """
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError):  # another program holds it, or has removed it
            if folder.lstat().st_uid == os.getuid():
                lock = _lock(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _made(purpose: str, parent: Path | None) -> tuple[Path, int | None]:
    """Make a folder and lock it, anew where another program took it for a left one before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(SUFFIX, f"{PREFIX}{purpose}-", parent))
        try:
            lock = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue
        except OSError:  # a file system without locks, where none is taken for a left one either
            return folder, None
        if folder.is_dir():
            return folder, lock
        os.close(lock)


def _lock(folder: Path) -> int:
    """Return a descriptor that holds the lock.

    Raises:
        OSError: another program holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
