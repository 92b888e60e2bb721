"""What a request for a process refers to, checked; every fault is laid at the field that refers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.datasets.description import Description
from app.engines import engine_faults, why_not_installed
from app.errors import Conflict, InvalidInput, JobFailure, NotFound, StorageDamaged
from app.jobs.datasets.opened import opened_lately
from app.jobs.processes.following import find_process
from app.jobs.services import Services
from app.repositories.repository import Repository
from app.training.checkpoints import read_card
from app.training.config import TrainingConfig


def referenced(repository: Repository, request: Mapping, field: str) -> dict:
    """Return the record whose id a field of the request holds.

    Raises:
        InvalidInput: for an id that no record has.
    """
    try:
        return repository.get(request[field])
    except NotFound as error:
        raise InvalidInput.at(field, error.message) from error


def check_same_task(first: Mapping, **others: Mapping) -> None:
    """Make sure that the other records, named as their fields are without `_id`, are of the first one's task."""
    for name, record in others.items():
        if record["task_id"] != first["task_id"]:
            raise InvalidInput.at(
                f"{name}_id",
                f"The {name} {record['name']!r} is of task {record['task_id']}, the model of task {first['task_id']}; "
                "choose ones of the same task.",
            )


def _training_has_ended(services: Services, weights: Mapping) -> bool:
    if weights["process_id"] is None:  # uploaded
        return True
    try:
        return find_process(services, weights["process_id"]).state.is_final
    except NotFound:
        return True


def usable_card(services: Services, weights: Mapping) -> TrainingConfig:
    """Return what weights were trained with.

    Raises:
        Conflict: while they have no file.
    """
    folder = services.storage.weights(weights["id"])
    if not folder.has_weights():
        if _training_has_ended(services, weights):
            raise Conflict(
                f"Weights {weights['id']} have no file: their training ended before it could save any; "
                "resume it, or choose other weights."
            )
        raise Conflict(
            f"Weights {weights['id']} have no file yet; wait until their training has saved its first epoch."
        )
    return read_card(folder)


def check_channels(channels: int, trained: int, field: str) -> None:
    """Make sure that images can become what weights were trained on: grey and colour become each other."""
    if channels != trained and not {channels, trained} <= {1, 3}:
        raise InvalidInput.at(
            field,
            f"The images have {channels} planes, but the weights were trained on {trained}; "
            f"choose weights that were trained on images of {channels}.",
        )


def check_engine(config: TrainingConfig, field: str, description: Description | None = None) -> None:
    """Make sure that the config's engine is installed here, can do what the config says, and can read the images.

    Raises:
        InvalidInput: naming the field for an engine that is not installed, else each property that is in the way.
    """
    if reason := why_not_installed(config.engine):
        raise InvalidInput.at(field, reason)
    faults = engine_faults(config, description)
    if faults:
        raise InvalidInput(next(iter(faults.values())), {name: [fault] for name, fault in faults.items()})


def opened_description(services: Services, dataset: Mapping) -> Description:
    """Read the service's copy of a dataset's description."""
    with fault_of("dataset_id"), unless_deleted(services.database.datasets, dataset["id"]):
        return opened_lately(dataset).description


@contextmanager
def unless_deleted(repository: Repository, record_id: int) -> Iterator[None]:
    """Tell of a record that is deleted in the block, with its files, as of any that does not exist.

    Raises:
        NotFound: in the place of what says that its files are gone.
    """
    try:
        yield
    except StorageDamaged:
        repository.get(record_id)
        raise


@contextmanager
def fault_of(field: str) -> Iterator[None]:
    """Lay the fault of what a field refers to at the field."""
    try:
        yield
    except (JobFailure, InvalidInput, NotFound) as error:
        faults = [fault for faults in error.errors.values() for fault in faults] or [error.message]
        raise InvalidInput(error.message, {field: faults}) from error
