"""A folder in which the web workers add up what they count: prometheus-client does that in files that they share."""

import atexit
import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from app.temporary import remove_left_folders, temporary_folder

# In memory: no number is worth the wait for a disk.
MEMORY = Path("/dev/shm")
KINDS = ("counter", "histogram")  # a file for each kind that app.api.middleware.measurements has
NUMBERS_BYTES = 2**19  # more than all rules, methods and statuses need


def make_metrics_folder(parent: Path | None = None) -> str:
    """Make the folder of this process, which removes it when it ends, and remove those that killed ones left.

    Args:
        parent: for tests.
    """
    parent = parent or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
    remove_left_folders(parent)
    opened = ExitStack()
    folder = opened.enter_context(temporary_folder("metrics", parent))
    atexit.register(opened.close)
    return str(folder)


@cache
def take_room(folder: str, maker: int) -> None:
    """Take up the room of the files in this folder in which a process of this number counts, before it maps them.

    Raises:
        OSError: when there is none; nothing may be counted then, for a write into a mapped file without room ends the
            process (SIGBUS).
    """
    for kind in KINDS:
        path = Path(folder, f"{kind}_{maker}.db")
        try:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, NUMBERS_BYTES)
        except OSError:
            path.unlink(missing_ok=True)  # an empty one cannot be read
            raise
