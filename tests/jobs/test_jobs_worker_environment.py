"""What the libraries of a worker find in the environment when they are loaded."""

import json
import os
import subprocess
import sys

import pytest

from app.jobs.worker.environment import ALLOCATION, BEGUN, WAITING, completed

PROGRAM = """
import json, os, sys
from app.jobs.worker import environment as worker_environment
worker_environment.ensure()
print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))
"""

# Python would not let such an environment through, so the C library starts the program.
EXECUTE = """
import ctypes, sys
_, path, name, program, *environment = [text.encode() for text in sys.argv]
arguments = [name, b"-c", program, None]
strings = lambda texts: (ctypes.c_char_p * len(texts))(*texts)
ctypes.CDLL(None).execve(path, strings(arguments), strings([*environment, None]))
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

    assert json.loads(output) == [program.pid, ["training", "a b"], ours | WAITING | ALLOCATION | {BEGUN: "1"}]


def test_a_program_begins_anew_once_though_the_c_library_takes_out_what_it_was_given():
    ours = {name: value for name, value in os.environ.items() if name not in WAITING | ALLOCATION} | {BEGUN: "1"}
    output = subprocess.run([sys.executable, "-c", PROGRAM], env=ours, stdout=subprocess.PIPE, check=True).stdout

    assert json.loads(output)[2] == ours


@pytest.mark.parametrize(
    ("program", "odd"),
    [
        pytest.param(sys.executable, [], id="as ever"),
        pytest.param(sys.executable, ["=nameless", "TWICE=1", "TWICE=2"], id="what Python cannot write"),
        pytest.param("nobody", [f"PYTHONHOME={sys.base_prefix}"], id="a name by which Python does not find itself"),
    ],
)
def test_a_program_begins_however_it_is_called(program, odd):
    ours = [f"{name}={value}" for name, value in os.environ.items() if name not in WAITING | ALLOCATION | {"PATH": ""}]
    command = [sys.executable, "-c", EXECUTE, os.path.realpath(sys.executable), program, PROGRAM, *ours, *odd]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    _, _, environment = json.loads(output)
    assert environment.items() >= (WAITING | ALLOCATION).items()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize(("given", "expected"), [({}, "54321"), ({"USER": "anna"}, None)])
def test_a_user_without_a_name_gets_one_for_the_libraries_that_ask(given, expected):
    os.setreuid(54321, -1)
    try:
        assert completed(given).get("LOGNAME") == expected
    finally:
        os.setreuid(0, -1)
    assert "LOGNAME" not in completed(given)
