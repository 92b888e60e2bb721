"""Memory that is given back."""

import subprocess
import sys

from waiting import PATIENCE_SECONDS

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
from app.jobs.worker import environment, kept_horse
environment.ensure()

def perform(order):
    blocks = [np.ones(2**23, np.uint8) for _ in range(50)]
    return True

def worked(idle_seconds):
    kept_horse.IDLE_SECONDS = idle_seconds
    horse = kept_horse.KeptHorse(perform)
    program = psutil.Process(horse.pid)
    before = program.memory_info().rss
    assert horse.begin({}) and horse.wait() == (os.EX_OK, True)
    return horse, lambda: program.memory_info().rss - before

horse, taken = worked(idle_seconds=3600)
assert taken() > 300 * 2**20, "it is kept for the next job"
horse.dismiss()
horse, taken = worked(idle_seconds=0.1)
while taken() > 50 * 2**20:
    time.sleep(0.1)
horse.dismiss()
"""


def test_a_work_horse_that_waits_keeps_no_memory_of_its_last_job():
    subprocess.run([sys.executable, "-c", IDLE], check=True, timeout=PATIENCE_SECONDS)
