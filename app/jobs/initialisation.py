"""What a new storage folder is filled with; a second time it changes nothing that a user edited or deleted."""

from app.jobs.datasets.registration import register_shipped
from app.jobs.drafts import remove_abandoned
from app.jobs.processes.abandoned import take_back_half_made
from app.jobs.removal.going import finish
from app.jobs.removal.reserve import keep_reserve
from app.jobs.services import Services
from app.jobs.weights.usable import note_files
from app.repositories.seeds import seed


def initialise(services: Services) -> None:
    """Add the tasks, properties, models, allowed properties and shipped datasets that were never added before.

    Raises:
        StorageUnavailable: when the storage folder cannot be written.
    """
    seed(services.database)
    services.database.load()
    clear_up_after_killed(services)
    register_shipped(services)
    note_files(services)
    keep_reserve(services.storage)


def clear_up_after_killed(services: Services) -> None:
    """Remove what killed web processes left of datasets, weights and processes, stored or deleted by half.

    Others may serve the folder meanwhile.

    Raises:
        StorageUnavailable: when the storage folder cannot be written.
    """
    finish(services)
    take_back_half_made(services)
    for folder in (services.storage.dataset_drafts, services.storage.weights_drafts):
        remove_abandoned(folder)
