"""Whether a process of this machine lives, and what names this machine."""

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
def machine_id() -> str | None:
    """Name this start of this machine, None where the system has no such name.

    What its kernel knows of locks and processes is exact, and holds for no other machine, nor for this one before it
    was started anew.
    """
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


@cache
def pid_space() -> str | None:
    """Name where the numbers of processes count: one start of a machine, and one container of it; None if unknown.

    The name of a host is not that: copies of a machine share it, and so may a container and its host.
    """
    try:
        return f"{machine_id()} {PID_NAMESPACE.readlink()}" if machine_id() else None
    except OSError:
        return None
