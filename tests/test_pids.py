import subprocess
import sys

import pytest

from app.pids import is_running, pid_space


def test_a_process_runs_until_it_has_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
        process.stdin.close()
        process.wait()
        assert not is_running(process.pid)


def test_those_of_others_run_and_numbers_too_large_for_a_process_do_not():
    assert is_running(1)
    assert not is_running(10**30)


def asked_elsewhere(*command):
    program = [*command, sys.executable, "-c", "from app.pids import pid_space; print(pid_space())"]
    return subprocess.run(program, capture_output=True, text=True)


def test_numbers_count_in_this_start_of_the_machine_and_not_in_containers():
    assert asked_elsewhere().stdout.strip() == pid_space() is not None
    try:
        contained = asked_elsewhere("unshare", "--pid", "--fork")
    except FileNotFoundError:
        pytest.skip("unshare (util-linux) makes the container, and is missing")
    if contained.returncode:
        pytest.skip(f"a container cannot be made here: {contained.stderr.strip()}")
    assert contained.stdout.strip() != pid_space()
