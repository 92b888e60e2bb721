"""The launcher with small programs in place of the service's; Redis is the real one."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import wait_until

from app.engines import why_not_installed
from app.errors import ConfigurationError
from app.launcher import documentation_url, free_port, program_environment, read_procfile
from app.settings import CLONE_FOLDER, Settings

STOP_SECONDS = 120  # where two cores do the work of eight, Redis alone has taken half a minute to end
SLEEPER = "sh -c 'echo up; exec sleep 600'"
POLITE = """sh -c 'trap "sleep 0.3; echo goodbye; exit" TERM; echo polite; while :; do sleep 0.1; done'"""
DEAF = """sh -c 'trap "" TERM; echo deaf; while :; do sleep 0.1; done'"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site" / "backend" / "docs").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def launch(folder):
    """Start `dht serve` with a Procfile; whatever still runs at the end is killed."""
    started = []

    def start(*lines: str, by: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
        procfile = folder / f"Procfile.{len(started)}"
        web = f"web: python -m http.server $PORT --bind 127.0.0.1 --directory {folder / 'site'}"
        procfile.write_text("\n".join(line or web for line in lines) + "\n")
        left_out = ("REDIS_URL", "HOST", "PYTHONUNBUFFERED")  # the last hides what is left in a buffer at the end
        inherited = {name: value for name, value in os.environ.items() if name not in left_out}
        defaults = {"PORT": "0", "STORAGE_DIR": str(folder / "storage"), "STOP_GRACE_SECONDS": "1"}
        process = subprocess.Popen(
            [*by, sys.executable, "-m", "app.cli", "serve", "--procfile", str(procfile)],
            cwd=CLONE_FOLDER,
            env=inherited | defaults | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


REDIS = "redis: python -m app.cli redis"
WEB = ""  # `launch` writes it: it serves an empty folder where the documentation page would be


def read_until(process: subprocess.Popen, *words: str) -> list[str]:
    """Return the lines up to that by which each of the words has come, in whatever order."""
    lines, missing = [], set(words)
    for line in process.stdout:
        lines.append(line)
        missing -= {word for word in missing if word in line}
        if not missing:
            return lines
    raise AssertionError("".join(lines))


def descendants(pid: int) -> list[int]:
    children = read_of(pid, f"task/{pid}/children").split()
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def is_alive(pid: int) -> bool:
    return read_of(pid, "stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def command_of(pid: int) -> str:
    return read_of(pid, "cmdline").replace("\0", " ")


def read_of(pid: int, file: str) -> str:
    """Return what the system tells of a process; nothing of one that has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/{file}").read_text()
    return ""


def descendant(pid: int, words: str) -> int:
    """Wait for the descendant with these words in its command line, empty while it is replaced."""
    return wait_until(lambda: next((found for found in descendants(pid) if words in command_of(found)), None))


def wait_for_descendants(pid: int, count: int) -> list[int]:
    return wait_until(lambda: pids if len(pids := descendants(pid)) >= count else None)


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(map(is_alive, pids)))


def refusal(process: subprocess.Popen) -> str:
    """Return the one line of a launcher that refuses to start."""
    output, _ = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 1
    (line,) = output.splitlines()
    return line


def test_starts_everything_and_says_last_where_the_documentation_is(launch):
    lines = read_until(launch(REDIS, WEB, f"sleeper: {SLEEPER}"), "Ready")

    assert re.search(r"API documentation: http://127\.0\.0\.1:\d+/backend/docs$", lines[-1].rstrip())
    assert any(re.match(r"\d\d:\d\d:\d\d sleeper \| up$", line.rstrip()) for line in lines), lines


def test_an_engine_of_the_settings_that_is_not_installed_is_told(launch):
    lines = read_until(launch(REDIS, WEB, ENGINE="eddl"), "Ready")

    assert any("Note: ENGINE=eddl" in line for line in lines) == (why_not_installed("eddl") is not None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_programs_with_exit_code_0_and_redis_last(launch, number):
    process = launch(REDIS, WEB, f"polite: {POLITE}")
    read_until(process, "Ready", "| polite")
    pids = descendants(process.pid)

    process.send_signal(number)
    output, _ = process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == 0
    assert output.splitlines()[-1] == "Stopped."
    assert 0 < output.index("goodbye") < output.index("Received SIGTERM scheduling shutdown")  # the latter is Redis
    assert len(pids) >= 3 and not any(map(is_alive, pids))


def test_when_one_program_ends_again_and_again_the_others_are_stopped_and_it_is_named(launch, folder):
    gate = folder / "gate"
    brittle = f"brittle: sh -c 'until test -e {gate}; do sleep 0.1; done; echo last words; exit 3'"
    process = launch(REDIS, WEB, f"sleeper: {SLEEPER}", brittle)
    read_until(process, "Ready")
    pids = descendants(process.pid)

    gate.touch()
    output, _ = process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == 1
    assert output.count("brittle | last words") == output.count("it is started again") + 1 == 5
    assert output.splitlines()[-1] == "Error: brittle ended with exit code 3, so everything was stopped."
    assert not any(map(is_alive, pids))


def test_a_killed_program_is_started_again_without_what_it_left_and_the_others_go_on(launch):
    process = launch(REDIS, WEB, """parent: sh -c 'sleep 600 & echo up; wait'""")
    read_until(process, "Ready", "parent | up")
    for _ in range(6):
        *others, parent, child = filter(is_alive, descendants(process.pid))
        os.kill(parent, signal.SIGKILL)
        lines = read_until(process, "up")
        assert lines[0].endswith("parent was ended by SIGKILL; it is started again\n")
        wait_until_gone([child])
    assert len(others) == 2 and all(map(is_alive, others))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_a_program_that_is_killed_while_the_others_still_start_is_started_again_too(launch, folder, number):
    gate = folder / "gate"
    serve = f"exec python -m http.server $PORT --bind 127.0.0.1 --directory {folder / 'site'}"
    late_web = f"web: sh -c 'until test -e {gate}; do sleep 0.1; done; {serve}'"
    process = launch(REDIS, late_web, f"sleeper: {SLEEPER}")
    for _ in range(6):
        read_until(process, "sleeper | up")
        os.kill(descendant(process.pid, "sleep 600"), number)
        read_until(process, f"sleeper was ended by {number.name}; it is started again")
    gate.touch()

    read_until(process, "Ready")


def test_a_program_that_is_asked_to_end_while_the_others_still_start_is_started_again(launch):
    polite = """polite: sh -c 'trap "exit 0" TERM; echo up with pid $$; while :; do sleep 0.1; done'"""
    process = launch(REDIS, "web: sleep 600", polite)
    for _ in range(2):
        pid = int(read_until(process, "up with pid")[-1].split()[-1])
        os.kill(pid, signal.SIGTERM)
        read_until(process, "polite ended with exit code 0; it is started again")


def test_nothing_survives_a_killed_launcher(launch):
    process = launch(REDIS, WEB, f"sleeper: {SLEEPER}")
    read_until(process, "Ready")
    pids = descendants(process.pid)

    process.kill()

    assert len(pids) == 3
    wait_until_gone(pids)


def test_what_is_left_of_a_killed_service_is_waited_for(launch):
    slow = """slow: sh -c 'trap "sleep 2; exit" TERM; while :; do sleep 0.1; done'"""
    killed = launch(REDIS, WEB, slow)
    read_until(killed, "Ready")
    pids = descendants(killed.pid)

    killed.kill()
    killed.wait()
    read_until(launch(REDIS, WEB, slow), "Ready")

    assert not any(map(is_alive, pids))


def test_what_a_program_left_running_is_ended_too(launch):
    leaver = """leaver: sh -c 'setsid sh -c "trap : TERM; sleep 600; sleep 600" & echo started; exec sleep 600'"""
    process = launch(REDIS, WEB, leaver)
    read_until(process, "Ready")
    pids = wait_for_descendants(process.pid, 5)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == 0
    assert not any(map(is_alive, pids))


def test_what_a_program_left_and_has_ended_leaves_no_zombie(launch):
    leaver = """leaver: sh -c 'sh -c "sleep 600 & exit"; exec sleep 700'"""
    process = launch(REDIS, WEB, leaver)
    read_until(process, "Ready")
    left = descendant(process.pid, "sleep 600")

    os.kill(left, signal.SIGKILL)

    wait_until(lambda: not Path(f"/proc/{left}").exists())


def test_a_second_ctrl_c_kills_a_program_that_does_not_stop(launch):
    process = launch(REDIS, WEB, f"stubborn: {DEAF}", STOP_GRACE_SECONDS="600")
    read_until(process, "Ready", "| deaf")
    pids = descendants(process.pid)

    process.send_signal(signal.SIGINT)
    wait_until_gone(pids[1:2])  # the web server stops when asked
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == 0
    assert not any(map(is_alive, pids))


def test_a_program_that_does_not_stop_is_killed_after_the_grace_time(launch):
    process = launch(REDIS, WEB, f"stubborn: {DEAF}")
    read_until(process, "Ready", "| deaf")
    pids = descendants(process.pid)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=STOP_SECONDS)

    assert process.returncode == 0
    assert not any(map(is_alive, pids))


def test_the_service_stops_when_nobody_reads_its_lines_any_more(launch):
    process = launch(REDIS, WEB, 'chatty: python -c "import time\nwhile 1: print(1, flush=True); time.sleep(.1)"')
    process.stdout.close()

    assert process.wait(STOP_SECONDS) == 0


def test_two_services_run_side_by_side(launch, folder):
    first = read_until(launch(REDIS, WEB), "Ready")[-1]
    second = read_until(launch(REDIS, WEB, STORAGE_DIR=str(folder / "other")), "Ready")[-1]

    assert first != second


def test_a_storage_folder_is_served_once(launch):
    read_until(launch(REDIS, WEB), "Ready")

    assert "is served already; stop that service" in refusal(launch(REDIS, WEB))


def test_a_taken_port_is_refused_with_the_way_out(launch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refusal(launch(REDIS, WEB, PORT=str(port))) == (
            f"Error: Port {port} is taken by another program; choose another one with PORT={port + 1} make serve."
        )


def test_a_storage_folder_that_cannot_be_made_is_refused(launch, folder):
    (folder / "file").touch()

    message = refusal(launch(REDIS, WEB, STORAGE_DIR=str(folder / "file" / "storage")))

    assert message.startswith(f"Error: The storage folder {folder}/file/storage cannot be written (Not a directory); ")


def test_a_full_disk_is_refused_only_where_nothing_is_stored(launch, folder):
    full = ("sh", "-c", 'ulimit -S -f 0; exec "$0" "$@"')  # no file may grow
    assert f"The storage folder {folder}/storage cannot be written" in refusal(launch(WEB, by=full))

    first = launch(WEB)
    read_until(first, "Ready")
    first.terminate()
    assert first.wait(STOP_SECONDS) == 0

    read_until(launch(WEB, by=full), "Ready")


def test_a_redis_that_does_not_answer_is_refused_without_showing_its_password(launch):
    message = refusal(launch(WEB, REDIS_URL="redis://:secret@127.0.0.1:1/0"))

    assert message.startswith("Error: Redis at redis://127.0.0.1:1/0 does not answer (Connection refused); ")
    assert "secret" not in message


def test_other_machines_come_in_only_where_there_is_a_token(launch):
    line = refusal(launch(REDIS, WEB, HOST="0.0.0.0"))

    assert line.startswith("Error: To listen on 0.0.0.0 lets other machines in") and "dht token create NAME" in line


def test_a_configured_redis_takes_the_place_of_the_embedded_one(launch, folder):
    read_until(launch(REDIS, WEB), "Ready")
    url = Settings(storage_dir=folder / "storage").queue_url

    lines = read_until(launch(REDIS, WEB, REDIS_URL=url, STORAGE_DIR=str(folder / "other")), "Ready")

    assert lines[0].startswith("Starting web;")


def test_a_bad_setting_is_refused(launch):
    assert refusal(launch(REDIS, WEB, PORT="http")).startswith("Error: PORT='http' cannot be used: a port number")


def test_a_foreign_host_is_refused():
    with pytest.raises(ConfigurationError, match=r"HOST=192\.0\.2\.1 is not an address of this machine"):
        free_port("192.0.2.1", 0)


def test_a_procfile_without_programs_is_refused(tmp_path):
    (tmp_path / "Procfile").write_text("# nothing\n")

    with pytest.raises(ConfigurationError, match="names no program"):
        read_procfile(tmp_path / "Procfile")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_procfile(tmp_path / "absent")


def test_the_procfile_of_the_clone_has_the_four_programs():
    names = [program.name for program in read_procfile(CLONE_FOLDER / "Procfile")]

    assert names == ["redis", "web", "training", "inference"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/backend/docs"),
        ("0.0.0.0", "http://127.0.0.1:8000/backend/docs"),
        ("::", "http://[::1]:8000/backend/docs"),
        ("lab.example", "http://lab.example:8000/backend/docs"),
    ],
)
def test_the_documentation_url_opens_in_a_browser(host, url):
    assert documentation_url(Settings(host=host)) == url


def test_programs_find_this_python_first_and_the_users_choices_are_kept(tmp_path):
    settings = Settings(storage_dir=tmp_path, port=1234)

    environment = program_environment(settings, {"PATH": "/bin", "REDIS_URL": "redis://x"})

    assert environment["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/bin"
    assert environment["REDIS_URL"] == "redis://x"
    assert Settings.from_environment(environment).storage_dir == tmp_path
    assert environment["PORT"] == "1234"
