"""Every option of the service. The only reader of the environment."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from math import inf
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import quote, urlsplit

from app.errors import ConfigurationError

CLONE_FOLDER = Path(__file__).resolve().parent.parent
ENGINE_NAMES = ("torch", "eddl")
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 108 bytes on Linux and 104 on macOS


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _existing_folders(text: str) -> tuple[Path, ...]:
    folders = tuple(_folder(part) for part in text.split(os.pathsep) if part.strip())
    if not all(folder.is_dir() for folder in folders):
        raise ValueError
    return folders


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _whole(lowest: int, highest: float = inf) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not lowest <= number <= highest:
            raise ValueError
        return number

    return read


_port, _count, _limit = _whole(0, 65535), _whole(1), _whole(0)


def _engine(text: str) -> str:
    if text.lower() not in ENGINE_NAMES:
        raise ValueError
    return text.lower()


def _redis_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "unix") or (parts.port or 1) < 1:  # reading a malformed port raises
        raise ValueError
    return text


def _minutes(text: str) -> float:
    minutes = float(text)
    if not minutes > 0:
        raise ValueError
    return minutes


def _option(default, read, expected, help_text, *, is_secret=False):
    metadata = {"read": read, "expected": expected, "help": help_text, "is_secret": is_secret}
    return field(default=default, metadata=metadata, repr=not is_secret)


@dataclass(frozen=True)
class Settings:
    """One field per option; its environment variable is the field's name in capitals."""

    host: str = _option("127.0.0.1", str, "an address", "Address the web server listens on.")
    port: int = _option(
        8000, _port, "a port number from 0 to 65535", "Port the web server listens on; 0 takes a free one."
    )
    storage_dir: Path = _option(
        CLONE_FOLDER / "storage", _folder, "a folder", "Folder of records, weights, runs and datasets."
    )
    redis_url: str = _option(
        "",
        _redis_url,
        "a redis://, rediss:// or unix:// URL, special characters of the password written as %40 and the like,",
        "Redis server; empty starts the embedded one.",
        is_secret=True,
    )
    data_roots: tuple[Path, ...] = _option(
        (CLONE_FOLDER / "datasets",),
        _existing_folders,
        f"existing folders, separated by {os.pathsep}",
        "Folders that dataset paths may lie in.",
    )
    url_hosts: tuple[str, ...] = _option(
        (),
        _words,
        "host names separated by commas",
        "Hosts in private networks that dataset and image URLs may point to; public hosts need no entry.",
    )
    cors_origins: tuple[str, ...] = _option(
        ("http://localhost:4200",), _words, "origins separated by commas", "Web origins whose pages may call the API."
    )
    web_workers: int = _option(2, _count, "a number of 1 or more", "Gunicorn worker processes.")
    web_threads: int = _option(16, _count, "a number of 1 or more", "Threads of each Gunicorn worker.")
    max_body_bytes: int = _option(64 * 1024**2, _count, "a number of bytes", "Largest request body accepted.")
    max_description_bytes: int = _option(
        16 * 1024**2, _count, "a number of bytes", "Largest dataset description accepted."
    )
    max_upload_bytes: int = _option(
        4 * 1024**3, _count, "a number of bytes", "Largest dataset file or archive uploaded."
    )
    max_archive_bytes: int = _option(
        16 * 1024**3, _count, "a number of bytes", "Most bytes that an archive may unpack to, or a dataset's URLs hold."
    )
    max_archive_files: int = _option(100_000, _count, "a number of 1 or more", "Most members of an archive.")
    max_archive_ratio: int = _option(
        200, _count, "a number of 1 or more", "Most bytes that may come out of each byte of an archive."
    )
    max_image_pixels: int = _option(100_000_000, _count, "a number of pixels", "Largest image that is decoded.")
    rate_limit: int = _option(
        0, _limit, "a number of requests, or 0", "Most requests of one client in a minute; 0 sets no limit."
    )
    max_waiting_jobs: int = _option(
        10_000,
        _limit,
        "a number of jobs, or 0",
        "Most trainings and inferences of one client that wait for a worker; 0 sets no limit.",
    )
    url_timeout_seconds: int = _option(30, _count, "a number of seconds", "Longest time a download may take.")
    stop_grace_seconds: int = _option(
        10, _count, "a number of seconds", "Time a running job has to stop by itself before it is killed."
    )
    auto_resume_times: int = _option(
        5,
        _limit,
        "a number of 0 or more",
        "How often a process goes on by itself after its job was killed; 0 never, and a shutdown then stops it.",
    )
    loaded_weights_bytes: int = _option(
        1024**3,
        _count,
        "a number of bytes",
        "Most bytes of weights that an inference worker keeps loaded for the next inference.",
    )
    checkpoint_minutes: float = _option(
        10.0,
        _minutes,
        "a number of minutes",
        "Most time of a training that a crash can cost: it saves after each epoch, and inside one this often.",
    )
    engine: str = _option(
        "torch",
        _engine,
        " or ".join(ENGINE_NAMES),
        "Library that trainings compute with, `torch` or `eddl`, where their property Engine is Auto.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read each option from its variable; an absent or empty one keeps its default.

        Raises:
            ConfigurationError: naming the variable, its value and what would be right.
        """
        environment = os.environ if environment is None else environment
        values = {}
        for option in fields(cls):
            variable = option.name.upper()
            text = environment.get(variable, "").strip()
            if not text:
                continue
            try:
                values[option.name] = option.metadata["read"](text)
            except ValueError:
                expected = option.metadata["expected"]
                shown = variable if option.metadata["is_secret"] else f"{variable}={text!r}"
                raise ConfigurationError(f"{shown} cannot be used: {expected} is expected.") from None
        return cls(**values)

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis's socket: in the storage folder, or in a short private one when that path is too long."""
        socket = self.storage_dir / "redis" / "redis.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
            return socket
        name = sha256(os.fsencode(self.storage_dir)).hexdigest()[:16]
        private = Path(f"dht-{os.getuid()}-{name}", "redis.sock")
        chosen = gettempdir() / private  # TMPDIR may be as long
        return chosen if len(os.fsencode(chosen)) <= LONGEST_SOCKET_PATH else Path("/tmp") / private

    @property
    def uses_embedded_redis(self) -> bool:
        return not self.redis_url

    @property
    def queue_url(self) -> str:
        """The URL that web and workers connect to."""
        return self.redis_url or f"unix://{quote(str(self.redis_socket))}"

    @property
    def shown_queue_url(self) -> str:
        """The same for people and logs: without user and password, and without options."""
        parts = urlsplit(self.queue_url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"
