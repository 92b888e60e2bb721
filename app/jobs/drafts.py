"""The folder in which a dataset, or weights, are put together before they have an id: it becomes theirs, or is gone."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.files import sync_folder, unavailable

PREFIX = ".draft-"
DAY_SECONDS = 24 * 3600


@contextmanager
def draft_folder(drafts: Path) -> Iterator[Path]:
    """Make a folder among the drafts, and remove what is there under its name in the end.

    Its maker holds a lock on it, which the system frees when the maker dies.

    Raises:
        StorageUnavailable: if it cannot be made.
    """
    remove_abandoned(drafts)
    try:
        draft, lock = _make(drafts)
    except OSError as error:
        raise unavailable(drafts, "written", error) from error
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def give_place(draft: Path, folder: Path) -> None:
    """Make a draft the folder of this name; when it returns, a power cut does not take the name away.

    Raises:
        OSError: if it cannot be done.
    """
    draft.rename(folder)
    sync_folder(folder.parent)


def remove_abandoned(drafts: Path) -> None:
    """Remove the drafts whose makers were killed."""
    for draft in drafts.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another process was quicker
            lock = os.open(draft, os.O_RDONLY)
            try:
                if _is_abandoned(draft, lock):
                    shutil.rmtree(draft, ignore_errors=True)
            finally:
                os.close(lock)


def _make(drafts: Path) -> tuple[Path, int]:
    """Return a new folder and the lock on it; one that was taken for abandoned before it was locked is made anew."""
    while True:
        draft = Path(tempfile.mkdtemp(prefix=PREFIX, dir=drafts))
        with suppress(FileNotFoundError):
            draft.chmod(0o755)  # mkdtemp lets only its owner in; workers may be other users
            lock = os.open(draft, os.O_RDONLY)
            with suppress(OSError):  # some network file systems lock no folders
                fcntl.flock(lock, fcntl.LOCK_EX)
            if draft.is_dir():
                return draft, lock
            os.close(lock)


def _is_abandoned(draft: Path, lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here; nobody unpacks for a day
        return time.time() - draft.stat().st_mtime > DAY_SECONDS
    return True
