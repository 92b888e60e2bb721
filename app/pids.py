"""Whether a process of this machine lives."""

import os


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no number of a process is that large
        return False
    except PermissionError:
        return True  # somebody else's
    return True
