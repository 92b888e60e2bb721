"""What a worker has to be started with, for the libraries read it once, when a program begins."""

import os
import sys
from collections.abc import Mapping

# Idle threads that spin for long slow a busy machine 4 to 10 times; a moment costs it nothing, and saves a tenth of a
# step on an idle one.
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "3000"}

# A step takes and frees the same large arrays again and again. As it is, glibc returns them to the system each time,
# which then has to clear every page of them anew: up to a quarter of a step. Those over 32 MiB it should have back, for
# they leave holes in which nothing larger finds room where memory is short.
ALLOCATION = {
    "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={2**25}:glibc.malloc.trim_threshold={2**32}:glibc.malloc.hugetlb=1"
}


def completed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with what is missing in it; whatever a person has chosen stays."""
    waiting = {} if "OMP_WAIT_POLICY" in environment else WAITING
    return {**waiting, **ALLOCATION, **environment}


def ensure() -> None:
    """Begin this program anew, as the same process, where its environment lacks any of it."""
    environment = completed(os.environ)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
