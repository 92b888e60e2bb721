"""Memory that is given back to the system: `environment` has the C library keep it for the next step."""

import ctypes
import gc
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 2**20


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
