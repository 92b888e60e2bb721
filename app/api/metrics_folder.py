"""A folder in which the web workers add up what they count: prometheus-client does that in files that they share."""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from app.pids import is_running

PREFIX = "dht-metrics-"
# In memory: a process that writes to a mapped file on a full disk is killed (SIGBUS), and no number is worth that.
MEMORY = Path("/dev/shm")


def make_metrics_folder(parent: Path | None = None) -> str:
    """Make the folder of this process, which removes it when it ends, and remove those that killed ones left.

    Args:
        parent: for tests.
    """
    parent = parent or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
    for folder in parent.glob(f"{PREFIX}*-*"):
        maker = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            if maker.isdecimal() and folder.lstat().st_uid == os.getuid() and not is_running(int(maker)):
                shutil.rmtree(folder)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    atexit.register(_remove, folder, os.getpid())
    return str(folder)


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # the workers inherit this
        shutil.rmtree(folder, ignore_errors=True)
