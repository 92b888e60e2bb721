"""What a job does when memory is used up: it gives back what it can before it tries again with less."""

import ctypes
import gc
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 2**20


def release_memory() -> None:
    """Free what has become garbage, and have the C library return large blocks to the system from now on.

    As it is, it keeps them for the next ones, which are of other sizes: of 600 MiB, a batch of 8 had left no 170 in one
    piece for a single image. Where another C library is used, nothing but the garbage is freed.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
