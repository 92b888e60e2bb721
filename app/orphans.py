"""What becomes of processes whose parent ends, as Linux lets programs decide; elsewhere nothing here does anything."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # loaded here: not between fork and exec


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, however that happens."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none is lost."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """List the children of this process, adopted ones included."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def end_children() -> None:
    """Kill every child, and what it leaves to this process."""
    while pids := children():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
