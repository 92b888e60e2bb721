"""The long-lived parts that the web side works with, opened once per process."""

from dataclasses import dataclass

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


def open_services(settings: Settings) -> Services:
    """Open the storage folder, making it where it is missing, and the queue; Redis is reached on first use.

    Raises:
        StorageUnavailable: when the folder cannot be made.
    """
    storage = StorageLayout(settings.storage_dir)
    storage.create()
    return Services(settings, Database(storage.records), storage, JobQueue(settings.queue_url))
