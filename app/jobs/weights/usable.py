"""Which weights have a file. Their training saves it; that it is there is noted in the record, to be found by."""

from contextlib import suppress

from app.errors import StorageUnavailable
from app.jobs.services import Services
from app.jobs.weights.detail import detailed
from app.repositories.selection import Selection


def usable_weights(services: Services, **equals: int) -> Selection:
    """Return the matching weights that have a file, each as `detailed` tells it."""
    note_files(services, **equals)
    return services.database.weights.select(**equals, has_file=True).map(lambda record: detailed(services, record))


def note_files(services: Services, **equals: int) -> None:
    """Note which of the matching weights have got a file since this was done last."""
    weights = services.database.weights
    waiting = weights.find(**equals, has_file=None)
    found = [record["id"] for record in waiting if services.storage.weights(record["id"]).has_weights()]
    with suppress(StorageUnavailable):  # no room: they are listed when there is some
        weights.update_each(found, has_file=True)
