"""Why a job's process died, in words that tell its owner what to do."""

import os
import signal
from pathlib import Path

from app.jobs import queue

SYSTEM_COUNTERS = Path("/proc/vmstat")
MEMORY_KILLS = "oom_kill"

MEMORY_ADVICE = {
    queue.TRAINING: "lower Batch size or the input size, or set Halve batch size to Yes",
    queue.INFERENCE: "end other programs, or use weights that were trained with a smaller batch size",
    queue.CHECK: "end other programs, or lower MAX_IMAGE_PIXELS so that huge images are refused by name",
}
KILLED = {
    True: "the system ended it (signal 9), for memory was used up",
    False: "it was killed (signal 9), and not by the system for lack of memory",
    None: "it was killed (signal 9): most likely the machine ran out of memory",
}


def memory_kills() -> int | None:
    """Return how many programs the system has ended for lack of memory; None where it does not tell."""
    try:
        counters = dict(line.split() for line in SYSTEM_COUNTERS.read_text().splitlines())
        return int(counters[MEMORY_KILLS])
    except (OSError, KeyError, ValueError):
        return None


def reason_of_death(status: int, is_for_memory: bool | None, job_type: str) -> str:
    """Say why a process ended.

    Args:
        status: as `os.wait` tells it.
        is_for_memory: whether the system says that it ended a program for lack of memory meanwhile, if it says that.
        job_type: what was done.
    """
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if number == signal.SIGKILL:
        advice = "" if is_for_memory is False else f"; {MEMORY_ADVICE[job_type]}"
        return KILLED[is_for_memory] + advice
    if number is not None:
        return f"it crashed ({signal.Signals(number).name}, signal {number})"
    return f"it ended unexpectedly with exit status {os.waitstatus_to_exitcode(status)}"
