"""What a new storage folder is filled with; a second time it changes nothing that a user edited or deleted."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from app.errors import StorageFull, StorageUnavailable
from app.jobs.datasets.registration import register_shipped
from app.jobs.drafts import remove_abandoned
from app.jobs.processes.abandoned import take_back_half_made
from app.jobs.removal.going import finish
from app.jobs.removal.reserve import keep_reserve
from app.jobs.services import Services
from app.jobs.weights.usable import note_files
from app.repositories.seeds import SEEDED, seed_table
from app.temporary import remove_left_folders

log = logging.getLogger(__name__)


def initialise(services: Services) -> None:
    """Add the tasks, properties, models, allowed properties and shipped datasets that were never added before.

    A file that cannot be read is told in the log: requests that need it are refused, all others are answered.

    Raises:
        StorageFull: when there is no room.
    """
    database = services.database
    _try_each([partial(seed_table, database, name) for name in SEEDED])
    # Processes that are forked later need not read all records again, and share the memory.
    _try_each([repository.load for repository in database.tables().values()])
    clear_up_after_killed(services)
    _try_each([partial(register_shipped, services), partial(note_files, services)])
    keep_reserve(services.storage)


def clear_up_after_killed(services: Services) -> None:
    """Remove what killed web processes left of datasets, weights and processes, stored or deleted by half.

    Others may serve the folder meanwhile.

    Raises:
        StorageFull: when there is no room.
    """
    drafts = (services.storage.dataset_drafts, services.storage.weights_drafts)
    _try_each([partial(finish, services), partial(take_back_half_made, services)])
    _try_each([partial(remove_abandoned, folder) for folder in drafts])
    remove_left_folders()


def _try_each(steps: Iterable[Callable[[], object]]) -> None:
    for step in steps:
        try:
            step()
        except StorageFull:
            raise
        except StorageUnavailable as error:
            log.warning("What needs it is refused: %s", error.message)
