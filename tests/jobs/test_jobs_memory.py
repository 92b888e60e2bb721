"""Memory that is given back."""

import subprocess
import sys

PIECES = """
import resource
import numpy as np
from app.jobs.worker.memory import release_memory

def taken():
    pages = open("/proc/self/statm").read().split()
    return int(pages[0]) * resource.getpagesize()

np.ones(24 * 2**20, np.uint8)  # glibc learns from its end to keep blocks of up to this size
release_memory()
before = taken()
blocks = [np.ones(2**20, np.uint8) for _ in range(200)]
kept = blocks[::20]
del blocks
assert taken() - before < 40 * 2**20, taken() - before
"""


def test_large_blocks_go_back_to_the_system_one_by_one():
    subprocess.run([sys.executable, "-c", PIECES], check=True)
