"""What a new storage folder is filled with; a second time it changes nothing that a user edited or deleted."""

from app.jobs.registration import register_shipped
from app.jobs.services import Services
from app.repositories.seeds import seed


def initialise(services: Services) -> None:
    """Add the tasks, properties, models, allowed properties and shipped datasets that were never added before.

    Raises:
        StorageUnavailable: when the storage folder cannot be written.
    """
    seed(services.database)
    register_shipped(services)
