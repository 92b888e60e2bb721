"""Room that is kept for deleting: on a full disk, what frees room must not fail for want of room."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps

from app.errors import StorageFull, StorageUnavailable
from app.files import write_atomically
from app.jobs.services import Services
from app.runs.layout import StorageLayout

RESERVE_BYTES = 1024**2

Delete = Callable[[Services, int], None]


def keep_reserve(storage: StorageLayout) -> None:
    """Take up the room, unless that was done or there is none."""
    with suppress(StorageUnavailable):
        if not storage.reserve.exists():
            write_atomically(storage.reserve, bytes(RESERVE_BYTES))


def with_reserve(delete: Delete) -> Delete:
    """Let a function that deletes something use the room if it finds no other, once, and take it up again after it."""

    @wraps(delete)
    def delete_with_reserve(services: Services, record_id: int) -> None:
        using_reserve(services.storage, lambda: delete(services, record_id))
        keep_reserve(services.storage)

    return delete_with_reserve


def using_reserve(storage: StorageLayout, change: Callable[[], object]) -> None:
    """Do what may be done twice, and use the room if it finds no other."""
    try:
        change()
    except StorageFull:
        if not storage.reserve.exists():
            raise
        storage.reserve.unlink(missing_ok=True)
        change()
