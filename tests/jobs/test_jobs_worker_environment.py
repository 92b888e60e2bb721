"""What the libraries of a worker find in the environment when they are loaded."""

import json
import os
import subprocess
import sys

import pytest

from app.jobs.worker.environment import ALLOCATION, WAITING, completed

PROGRAM = """
import json, os, sys
from app.jobs.worker import environment as worker_environment
worker_environment.ensure()
print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))
"""


@pytest.mark.parametrize(
    ("chosen", "environment"),
    [
        ({}, WAITING | ALLOCATION),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"} | ALLOCATION),
        ({"GOMP_SPINCOUNT": "0"}, {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"} | ALLOCATION),
        ({"GLIBC_TUNABLES": "", "PATH": "/bin"}, {"GLIBC_TUNABLES": "", "PATH": "/bin"} | WAITING),
    ],
)
def test_what_a_person_has_chosen_stays(chosen, environment):
    assert completed(chosen) == environment


def test_a_program_begins_anew_as_the_same_process_with_the_same_arguments():
    ours = {name: value for name, value in os.environ.items() if name not in WAITING | ALLOCATION}
    command = [sys.executable, "-c", PROGRAM, "training", "a b"]
    with subprocess.Popen(command, env=ours, stdout=subprocess.PIPE, text=True) as program:
        output, _ = program.communicate()

    assert json.loads(output) == [program.pid, ["training", "a b"], ours | WAITING | ALLOCATION]
