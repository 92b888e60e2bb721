"""Run the whole service in the foreground: check first, start the Procfile's programs, stop all of them on Ctrl-C."""

import errno
import fcntl
import http.client
import os
import socket
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from honcho.environ import parse_procfile

from app import embedded_redis
from app.access.exposure import refuse_exposure
from app.access.tokens import stored_tokens
from app.engines import why_not_installed
from app.errors import ConfigurationError, Conflict, StorageUnavailable
from app.files import NO_ROOM
from app.jobs.processes.presence import listening_queues
from app.jobs.queue import QUEUE_NAMES, connect
from app.jobs.worker.redis_absence import wait_for_redis
from app.pids import is_running
from app.program_log import ProgramLog
from app.settings import CLONE_FOLDER, Settings
from app.supervisor import Program, Stage, Supervisor

DOCUMENTATION_PATH = "/backend/docs"
LOCK_NAME = ".served"
REDIS = "redis"
WEB = "web"
REMAINS_SECONDS = 120.0  # that programs take at most, on an overloaded machine, to end when their launcher was killed
EXTRA_GRACE_SECONDS = 5  # beside the time that a running job has to stop


def serve(settings: Settings, procfile: Path) -> None:
    """Run the service until SIGINT, SIGTERM or SIGHUP.

    Args:
        settings: port 0 stands for a free port.
        procfile: the programs; the clone is their working folder.

    Raises:
        ToolkitError: the service cannot start here, or one of its programs ended. Nothing runs by then.
    """
    programs = read_procfile(procfile)
    with storage_lock(settings.storage_dir) as lock:
        refuse_exposure([settings.host], stored_tokens(settings))
        settings = replace(settings, port=free_port(settings.host, settings.port))
        if not settings.uses_embedded_redis:
            programs = [program for program in programs if program.name != REDIS]
            wait_for_redis(connect(settings.queue_url), settings.shown_queue_url, seconds=0)
        log = ProgramLog(sys.stdout, (program.name for program in programs))
        supervisor = Supervisor(
            arrange(programs, settings),
            folder=CLONE_FOLDER,
            environment=program_environment(settings, os.environ),
            log=log,
            grace_seconds=settings.stop_grace_seconds + EXTRA_GRACE_SECONDS,
            kept_open=(lock,),
        )
        log.say(f"Starting {', '.join(program.name for program in programs)}; the files are in {settings.storage_dir}")
        if reason := why_not_installed(settings.engine):
            log.say(f"Note: ENGINE={settings.engine}, and trainings by it are refused. {reason}")
        supervisor.run(
            on_ready=lambda: log.say(f"Ready; Ctrl-C stops it. API documentation: {documentation_url(settings)}")
        )
        log.say("Stopped.")


def read_procfile(path: Path) -> list[Program]:
    """List the programs of a Procfile in its order.

    Raises:
        ConfigurationError: the file is absent or names no program.
    """
    try:
        lines = parse_procfile(path.read_text("utf-8")).processes
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from error
    if not lines:
        raise ConfigurationError(f"{path} names no program; each line of it has to read `name: command`.")
    return [Program(name, command) for name, command in lines.items()]


def arrange(programs: Sequence[Program], settings: Settings) -> list[Stage]:
    """Put Redis before all else: the others need it when they start and until they have ended."""
    first = tuple(program for program in programs if program.name == REDIS)
    others = tuple(program for program in programs if program.name != REDIS)
    queues = {program.name for program in others} & set(QUEUE_NAMES)

    def is_ready(pids: Collection[int]) -> bool:
        has_web = any(program.name == WEB for program in others)
        return (not has_web or web_answers(settings)) and queues <= listening_queues(settings.queue_url, pids)

    stages = [Stage(first, lambda _pids: embedded_redis.is_ready(settings)), Stage(others, is_ready)]
    return [stage for stage in stages if stage.programs]


def program_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the programs: ours, with this Python first on PATH and every path absolute."""
    return {
        **environment,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "HOST": settings.host,
        "PORT": str(settings.port),
        "STORAGE_DIR": str(settings.storage_dir),
        "DATA_ROOTS": os.pathsep.join(map(str, settings.data_roots)),
    }


@contextmanager
def storage_lock(folder: Path) -> Iterator[int]:
    """Hold the storage folder for one launcher and its programs; yield the descriptor that each of these has to keep.

    What is left of a service whose launcher was killed ends soon, and is waited for.

    Raises:
        StorageUnavailable: it cannot be made or written.
        Conflict: another launcher serves it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_unwritable(folder)
        lock = (folder / LOCK_NAME).open("a+b", buffering=0)
    except OSError as error:
        raise StorageUnavailable(
            f"The storage folder {folder} cannot be written ({error.strerror}); "
            "choose another one with STORAGE_DIR=/a/folder make serve."
        ) from error
    with lock:
        deadline = time.monotonic() + REMAINS_SECONDS
        while not _is_locked(lock):
            if _has_launcher(lock) or time.monotonic() > deadline:
                raise Conflict(
                    f"The storage folder {folder} is served already; stop that service, "
                    "or choose another folder with STORAGE_DIR=/a/folder PORT=8001 make serve."
                )
            time.sleep(0.1)
        with suppress(OSError):  # a full disk: whoever comes meanwhile waits before it is refused
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        yield lock.fileno()


def _refuse_unwritable(folder: Path) -> None:
    """Raise the OSError that keeps files from being made there; the lock file proves nothing, it may be there already.

    A full disk is none where something is stored: that can be read and deleted, and the rest waits for room.
    """
    try:
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
    except OSError as error:
        if error.errno not in NO_ROOM or not (folder / LOCK_NAME).exists():
            raise


def _is_locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_launcher(lock: IO[bytes]) -> bool:
    """Tell whether the launcher that locked the folder lives, and not only some of its programs."""
    lock.seek(0)
    pid = lock.read()
    return pid.isdigit() and is_running(int(pid))


def free_port(host: str, port: int) -> int:
    """Return the port if nothing listens on it, or for 0 one that is free.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does, for a quick restart
            probe.bind(address)
            return probe.getsockname()[1]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(_port_fault(host, port, error)) from error


def documentation_url(settings: Settings) -> str:
    """Return the URL that a browser on this machine opens."""
    return f"http://{_url_host(settings.host)}:{settings.port}{DOCUMENTATION_PATH}"


def web_answers(settings: Settings) -> bool:
    """Ask whether the web server serves the page that the launcher is about to name."""
    connection = http.client.HTTPConnection(_url_host(settings.host).strip("[]"), settings.port, timeout=3)
    try:
        connection.request("GET", DOCUMENTATION_PATH)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _url_host(host: str) -> str:
    """Name an address that connects to the host: `all addresses` is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _port_fault(host: str, port: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return f"Port {port} is taken by another program; choose another one with PORT={other} make serve."
    if isinstance(error, PermissionError):
        return f"Port {port} may only be used by root; choose one from 1024 on with PORT=8000 make serve."
    return f"HOST={host} is not an address of this machine; 127.0.0.1 serves this machine only, 0.0.0.0 the network."
