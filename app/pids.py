"""Whether a process of this machine lives."""

import os
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no number of a process is that large
        return False
    except PermissionError:
        return True  # somebody else's
    return True


@cache
def pid_space() -> str | None:
    """Name where the numbers of processes count: one start of a machine, and one container of it; None if unknown.

    The name of a host is not that: copies of a machine share it, and so may a container and its host.
    """
    try:
        return f"{BOOT_ID.read_text().strip()} {PID_NAMESPACE.readlink()}"
    except OSError:
        return None
