"""Memory that is given back to the system, by itself or by force: `environment` has the C library keep it."""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 2**20
CHOICE = Path("/proc/self/oom_score_adj")
FIRST_TO_GO = 500  # as if it had half of the machine's memory in use besides its own


def return_memory() -> None:
    """Return what is free, which the next job may not need; does nothing where another C library is used."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def release_memory() -> None:
    """Free what has become garbage, and return large blocks one by one from now on: memory was used up.

    As it is, the C library keeps them for the next ones, which are of other sizes: of 600 MiB, a batch of 8 had left no
    170 in one piece for a single image.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    return_memory()


def be_ended_first() -> None:
    """Have the system end this process, with its children, before others when it runs out of memory.

    It ends what is largest, and a job shares most of its memory with its worker and so may be the smaller one of the
    two. A job that dies is told of and goes on; without its worker nobody knows why it died.
    """
    with suppress(OSError, ValueError):  # another system than Linux
        if int(CHOICE.read_text()) < FIRST_TO_GO:
            CHOICE.write_text(str(FIRST_TO_GO))
