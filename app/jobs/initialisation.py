"""What a new storage folder is filled with; a second time it changes nothing that a user edited or deleted."""

from app.jobs.datasets.registration import register_shipped
from app.jobs.drafts import remove_abandoned
from app.jobs.processes.abandoned import take_back_half_made
from app.jobs.removal.reserve import keep_reserve
from app.jobs.services import Services
from app.jobs.weights.usable import note_files
from app.repositories.seeds import seed


def initialise(services: Services) -> None:
    """Add the tasks, properties, models, allowed properties and shipped datasets that were never added before.

    What a killed web process left of a dataset, of uploaded weights or of a process is removed.

    Raises:
        StorageUnavailable: when the storage folder cannot be written.
    """
    seed(services.database)
    services.database.load()
    take_back_half_made(services)
    for folder in (services.storage.dataset_drafts, services.storage.weights_drafts):
        remove_abandoned(folder)
    register_shipped(services)
    note_files(services)
    keep_reserve(services.storage)
