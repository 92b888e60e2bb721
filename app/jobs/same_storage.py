"""Make sure that a worker sees the storage folder of the web server whose jobs it takes, and may write there."""

import os
import time
from pathlib import Path

from redis import Redis

from app.errors import ConfigurationError
from app.runs.identity import FILE_NAME, read_identity
from app.runs.layout import StorageLayout
from app.settings import Settings

KEY = "dht:storage"
WAIT_SECONDS = 30.0  # on the very first start the web server makes the folder meanwhile


def claim(connection: Redis, identity: str) -> None:
    """Note in Redis whose jobs it holds."""
    connection.set(KEY, identity)


def check(connection: Redis, settings: Settings, process_id: str | None = None, *, wait_seconds: float = 0.0) -> None:
    """Compare the storage folder with that of the jobs.

    Args:
        connection: to the Redis that holds the jobs.
        settings: of the worker.
        process_id: of the job that is about to begin, if one is.
        wait_seconds: for a folder that is being made.

    Raises:
        ConfigurationError: for another folder, one that no service has used yet, or one of another user.
    """
    deadline = time.monotonic() + wait_seconds
    while (own := read_identity(settings.storage_dir)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    folder = settings.storage_dir
    if own is None:
        raise ConfigurationError(
            f"STORAGE_DIR={folder} is not the storage folder of a service, or is not mounted (it has no {FILE_NAME}); "
            "name the folder that the web server uses, shared with this machine."
        )
    wanted = connection.get(KEY)
    if isinstance(wanted, bytes) and wanted.decode("ascii", "replace") != own:
        raise ConfigurationError(
            f"STORAGE_DIR={folder} is another storage folder than that of the web server whose jobs are in this Redis; "
            "name the folder that the web server uses, or give each service its own Redis database."
        )
    storage = StorageLayout(folder)
    run = storage.run(process_id) if process_id else None
    _refuse_foreign(run.path if run else storage.runs, folder)


def _refuse_foreign(path: Path, folder: Path) -> None:
    """Refuse what this user may not write, and not what nobody can: a read-only disk is waited for."""
    if path.exists() and not os.access(path, os.W_OK) and not os.statvfs(path).f_flag & os.ST_RDONLY:
        raise ConfigurationError(
            f"The user of this worker (number {os.getuid()}) may not write into {path}; let it run as the user "
            f"to whom STORAGE_DIR={folder} belongs, by the same number on each machine."
        )
