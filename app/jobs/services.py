"""The long-lived parts that the web side works with, opened once per process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import BinaryIO

from app.access.tokens import Tokens
from app.datasets.sources.fetch import fetch, fetch_into
from app.errors import Busy
from app.jobs.client_limits import ClientLimits
from app.jobs.queue import JobQueue
from app.jobs.redis_probe import RedisProbe
from app.jobs.worker.recovery import Recovery
from app.repositories.database import Database
from app.runs.identity import make_identity
from app.runs.layout import StorageLayout
from app.settings import Settings


class Places:
    """How many requests may do a slow thing at once; each keeps a thread from answering others.

    Args:
        count: of the places.
        refusal: what a request is told that finds none.
    """

    def __init__(self, count: int, refusal: str):
        self._free = BoundedSemaphore(max(1, count))
        self._refusal = refusal

    def take(self) -> Callable[[], None]:
        """Take a place and return what gives it back.

        Raises:
            Busy: while all are taken.
        """
        if not self._free.acquire(blocking=False):
            raise Busy(self._refusal)
        return self._free.release

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a place while the block runs; see `take`."""
        give_back = self.take()
        try:
            yield
        finally:
            give_back()


@dataclass(frozen=True)
class Services:
    """Settings, records, files and queue, what finds dead jobs, and the places for what takes long."""

    settings: Settings
    database: Database
    tokens: Tokens
    storage: StorageLayout
    queue: JobQueue
    limits: ClientLimits
    redis_probe: RedisProbe
    recovery: Recovery
    downloads: Places
    streams: Places
    programs: Places

    def fetch(self, url: str, limit_bytes: int) -> bytes:
        """Return the content behind a URL that a user named, within the limits of the settings.

        Raises:
            InvalidInput: why the URL cannot be used.
            TooLarge: if there is more than `limit_bytes`.
            Busy: while too many downloads run.
        """
        with self.downloads.held():
            return fetch(
                url,
                limit_bytes=limit_bytes,
                timeout_seconds=self.settings.url_timeout_seconds,
                allowed_hosts=self.settings.url_hosts,
            )

    def fetch_into(self, target: BinaryIO, url: str, limit_bytes: int) -> None:
        """Write the content behind a URL into a file; as `fetch`."""
        with self.downloads.held():
            fetch_into(
                target,
                url,
                limit_bytes=limit_bytes,
                timeout_seconds=self.settings.url_timeout_seconds,
                allowed_hosts=self.settings.url_hosts,
            )


def open_services(settings: Settings) -> Services:
    """Open the storage folder, making it where it is missing, and the queue; Redis is reached on first use.

    Raises:
        StorageUnavailable: when the folder cannot be made.
    """
    storage = StorageLayout(settings.storage_dir)
    storage.create()
    make_identity(storage.root)
    jobs = JobQueue(settings.queue_url)
    # Together, and with the quarter that may wait for large bodies (PatientWorker), they leave an eighth of the threads
    # to requests that are answered at once.
    threads = settings.web_threads
    database = Database(storage.records)
    return Services(
        settings,
        database,
        Tokens(database.tokens),
        storage,
        jobs,
        ClientLimits(settings.queue_url, settings.rate_limit, settings.max_waiting_jobs),
        RedisProbe(settings.queue_url),
        Recovery(storage, jobs, settings.auto_resume_times),
        downloads=Places(
            threads // 4,
            "The service downloads or sends too many files at this moment; send the request again in a minute.",
        ),
        streams=Places(
            threads // 4, "The service sends events to too many clients at this moment; ask /status instead."
        ),
        programs=Places(
            threads // 8,
            "The service works for others at this moment; send the request again in a few seconds.",
        ),
    )
