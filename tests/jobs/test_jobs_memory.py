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


IDLE = """
import os
import time
import numpy as np
import psutil
from app.jobs.worker import environment
environment.ensure()
from app.jobs.worker.kept_horse import KeptHorse

def perform(order):
    blocks = [np.ones(2**23, np.uint8) for _ in range(50)]
    return True

horse = KeptHorse(perform)
taken = lambda: psutil.Process(horse.pid).memory_info().rss
before = taken()
horse.begin({})
assert horse.wait() == (os.EX_OK, True)
assert taken() - before > 300 * 2**20, "it is kept for the next job"
deadline = time.monotonic() + 30
while taken() - before > 50 * 2**20:
    assert time.monotonic() < deadline, taken() - before
    time.sleep(0.1)
horse.dismiss()
"""


def test_a_work_horse_that_waits_keeps_no_memory_of_its_last_job():
    subprocess.run([sys.executable, "-c", IDLE], check=True)
