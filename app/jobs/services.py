"""The long-lived parts that the web side works with, opened once per process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore

from app.datasets.fetch import fetch
from app.errors import Busy
from app.jobs.queue import JobQueue
from app.repositories.database import Database
from app.runs.layout import StorageLayout
from app.settings import Settings


@dataclass(frozen=True)
class Services:
    """Settings, records, files and queue."""

    settings: Settings
    database: Database
    storage: StorageLayout
    queue: JobQueue
    _downloads: BoundedSemaphore = field(repr=False)
    _streams: BoundedSemaphore = field(repr=False)

    def fetch(self, url: str, limit_bytes: int) -> bytes:
        """Return the content behind a URL that a user named, within the limits of the settings.

        Raises:
            InvalidInput: why the URL cannot be used.
            TooLarge: if there is more than `limit_bytes`.
            Busy: while too many downloads run; each keeps a thread from answering others.
        """
        if not self._downloads.acquire(blocking=False):
            raise Busy("The service downloads from too many URLs at this moment; send the request again in a minute.")
        try:
            return fetch(
                url,
                limit_bytes=limit_bytes,
                timeout_seconds=self.settings.url_timeout_seconds,
                allowed_hosts=self.settings.url_hosts,
            )
        finally:
            self._downloads.release()

    def reserve_stream(self) -> Callable[[], None]:
        """Take one of the places for answers that go on for minutes; return what gives it back.

        Raises:
            Busy: while all are taken; each keeps a thread from answering others.
        """
        if not self._streams.acquire(blocking=False):
            raise Busy("The service sends events to too many clients at this moment; ask /status instead.")
        return self._streams.release


def open_services(settings: Settings) -> Services:
    """Open the storage folder, making it where it is missing, and the queue; Redis is reached on first use.

    Raises:
        StorageUnavailable: when the folder cannot be made.
    """
    storage = StorageLayout(settings.storage_dir)
    storage.create()
    queue = JobQueue(settings.queue_url)
    # Together they leave a quarter of the threads to requests that are answered at once.
    downloads = BoundedSemaphore(max(1, settings.web_threads // 2))
    streams = BoundedSemaphore(max(1, settings.web_threads // 4))
    return Services(settings, Database(storage.records), storage, queue, downloads, streams)
