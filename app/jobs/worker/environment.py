"""What a worker has to be started with, for the libraries read it once, when a program begins."""

import os
import pwd
import sys
from collections.abc import Mapping
from contextlib import suppress

# Idle threads that spin for long slow a busy machine 4 to 10 times; a moment costs it nothing, and saves a tenth of a
# step on an idle one.
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "3000"}

# A step takes and frees the same large arrays again and again. As it is, glibc returns them to the system each time,
# which then has to clear every page of them anew: up to a quarter of a step. Those over 32 MiB it should have back, for
# they leave holes in which nothing larger finds room where memory is short.
ALLOCATION = {
    "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={2**25}:glibc.malloc.trim_threshold={2**32}:glibc.malloc.hugetlb=1"
}

# Users without a name, as containers have them, crash MONAI unless one of these says how to call them.
USER_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")

BEGUN = "DHT_WORKER_HAS_BEGUN"  # anew: where the C library takes something out again, it does so each time


def completed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with what is missing in it; whatever a person has chosen stays."""
    waiting = {} if "OMP_WAIT_POLICY" in environment else WAITING
    return {**waiting, **ALLOCATION, **_name(environment), **environment}


def _name(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a name for a user who has none."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return {} if any(map(environment.get, USER_NAMES)) else {"LOGNAME": str(os.getuid())}
    return {}


def ensure() -> None:
    """Begin this program anew, as the same process, where its environment lacks any of it.

    The environment is completed and not replaced, for it may hold what Python cannot write, such as `=x`. Where it is
    unknown how to begin anew, the program goes on, slower.
    """
    missing = completed(os.environ).items() - os.environ.items()
    if not missing or BEGUN in os.environ:
        return
    os.environ.update({**dict(missing), BEGUN: "1"})
    if sys.executable:
        with suppress(OSError):
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
