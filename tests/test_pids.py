import subprocess
import sys

from app.pids import is_running


def test_a_process_runs_until_it_has_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
        process.stdin.close()
        process.wait()
        assert not is_running(process.pid)


def test_those_of_others_run_and_numbers_too_large_for_a_process_do_not():
    assert is_running(1)
    assert not is_running(10**30)
