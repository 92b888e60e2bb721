"""Make sure that a worker sees the storage folder of the web server whose jobs it takes."""

import time

from redis import Redis

from app.errors import ConfigurationError
from app.runs.identity import FILE_NAME, read_identity
from app.settings import Settings

KEY = "dht:storage"
WAIT_SECONDS = 30.0  # on the very first start the web server makes the folder meanwhile


def claim(connection: Redis, identity: str) -> None:
    """Note in Redis whose jobs it holds."""
    connection.set(KEY, identity)


def check(connection: Redis, settings: Settings, wait_seconds: float = 0.0) -> None:
    """Compare the storage folder with that of the jobs.

    Raises:
        ConfigurationError: for another folder, or one that no service has used yet.
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
