"""Delete a record with all that depends on it. A user's own files stay."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.jobs.datasets.checking import stop_check
from app.jobs.removal.deletion import refuse_running, runs_of, versions_of
from app.jobs.removal.going import delete_noted
from app.jobs.removal.reserve import with_reserve
from app.jobs.services import Services
from app.repositories.repository import Record


@dataclass
class _Doomed:
    """What is to be deleted, by id; what depends on a record comes after it."""

    projects: dict[int, Record] = field(default_factory=dict)
    datasets: dict[int, Record] = field(default_factory=dict)
    weights: dict[int, Record] = field(default_factory=dict)
    inferences: dict[int, Record] = field(default_factory=dict)

    def ids(self) -> dict[str, list[int]]:
        """Return the ids of all records by kind, in the order in which they can go."""
        return {kind: list(reversed(records)) for kind, records in vars(self).items()}

    def process_ids(self) -> list[str]:
        """Return the trainings and inferences of all records."""
        records = [*self.weights.values(), *self.inferences.values()]
        return [record["process_id"] for record in records if record["process_id"] is not None]


@with_reserve
def delete_project_and_dependents(services: Services, project_id: int) -> None:
    """Delete a project, its weights and inferences, and what depends on those; for what it raises see `_delete`."""
    _delete(services, f"Project {project_id}", lambda doomed: _doom_project(services, doomed, project_id))


@with_reserve
def delete_dataset_and_dependents(services: Services, dataset_id: int) -> None:
    """Delete a dataset, its other splits, and the weights and inferences of them; for what it raises see `_delete`."""
    datasets = services.database.datasets
    _delete(services, f"Dataset {dataset_id}", lambda doomed: _doom_dataset(services, doomed, datasets.get(dataset_id)))


@with_reserve
def delete_weights_and_dependents(services: Services, weights_id: int) -> None:
    """Delete weights, those that started from them, and their inferences; for what it raises see `_delete`."""
    weights = services.database.weights
    _delete(services, f"Weights {weights_id}", lambda doomed: _doom_weights(services, doomed, weights.get(weights_id)))


def _delete(services: Services, subject: str, collect: Callable[[_Doomed], None]) -> None:
    """Delete all that was collected, or nothing; what is collected is read while nothing else begins.

    Raises:
        NotFound: for an id that no record has.
        Conflict: while a process of any of them has not ended.
    """
    doomed = _Doomed()
    with services.database.holding_references():
        collect(doomed)
        refuse_running(services, doomed.process_ids(), subject)
        for dataset in doomed.datasets.values():
            stop_check(services, dataset)
        leaving = delete_noted(services, doomed.ids(), _folders(services, doomed))
    leaving.remove_folders(services)


def _doom_project(services: Services, doomed: _Doomed, project_id: int) -> None:
    doomed.projects[project_id] = services.database.projects.get(project_id)
    _doom_all_weights(services, doomed, services.database.weights.find(project_id=project_id))
    _doom_inferences(doomed, services.database.inferences.find(project_id=project_id))


def _doom_dataset(services: Services, doomed: _Doomed, record: Record) -> None:
    if record["id"] in doomed.datasets:
        return
    doomed.datasets[record["id"]] = record
    _doom_all_weights(services, doomed, services.database.weights.find(dataset_id=record["id"]))
    _doom_inferences(doomed, services.database.inferences.find(dataset_id=record["id"]))
    for other in versions_of(services, record):
        _doom_dataset(services, doomed, other)


def _doom_all_weights(services: Services, doomed: _Doomed, records: Iterable[Record]) -> None:
    for record in records:
        _doom_weights(services, doomed, record)


def _doom_weights(services: Services, doomed: _Doomed, record: Record) -> None:
    if record["id"] in doomed.weights:
        return
    doomed.weights[record["id"]] = record
    _doom_inferences(doomed, services.database.inferences.find(modelweights_id=record["id"]))
    _doom_all_weights(services, doomed, services.database.weights.find(pretrained_on=record["id"]))


def _doom_inferences(doomed: _Doomed, records: Iterable[Record]) -> None:
    doomed.inferences.update({record["id"]: record for record in records})


def _folders(services: Services, doomed: _Doomed) -> Iterable[Path]:
    """Yield the folders of the service that the records have: none of its users'."""
    for dataset_id in doomed.datasets:
        yield services.storage.dataset(dataset_id)
    for record in doomed.weights.values():
        yield services.storage.weights(record["id"]).path
        yield from runs_of(services, record)
    for record in doomed.inferences.values():
        run = services.storage.run(record["process_id"])
        if run is not None:
            yield run.path
