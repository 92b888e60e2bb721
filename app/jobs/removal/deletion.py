"""Records leave together with their files, and never while something depends on them. A user's own files stay."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.datasets.places import base_of
from app.errors import Conflict, NotFound
from app.jobs.datasets.checking import stop_check
from app.jobs.processes.following import find_process
from app.jobs.removal.going import delete_noted
from app.jobs.removal.reserve import with_reserve
from app.jobs.services import Services
from app.runs.reader import read_config


@with_reserve
def delete_project(services: Services, project_id: int) -> None:
    """Delete a project; its weights and inferences stay, for other projects may use them.

    Raises:
        Conflict: while one of its processes runs.
    """
    with services.database.holding_references():
        services.database.projects.get(project_id)
        processes = [
            record["process_id"]
            for repository in (services.database.weights, services.database.inferences)
            for record in repository.find(project_id=project_id)
        ]
        refuse_running(services, processes, f"Project {project_id}")
        services.database.projects.delete(project_id)


@with_reserve
def delete_dataset(services: Services, dataset_id: int) -> None:
    """Delete a dataset and the service's own copy of its description.

    Raises:
        Conflict: naming the weights that were trained on it, or the datasets that are other splits of its files.
    """
    database = services.database
    with database.holding_references():
        record = database.datasets.get(dataset_id)
        weights = database.weights.find(dataset_id=dataset_id)
        if weights:
            raise Conflict(
                f"Dataset {dataset_id} is what {_named('weights', weights)} learned from; delete those first."
            )
        versions = versions_of(services, record)
        if versions:
            raise Conflict(
                f"Dataset {dataset_id} holds the images of {_named('datasets', versions)}; delete those first."
            )
        processes = [inference["process_id"] for inference in database.inferences.find(dataset_id=dataset_id)]
        refuse_running(services, processes, f"Dataset {dataset_id}")
        stop_check(services, record)
        leaving = delete_noted(services, {"datasets": [dataset_id]}, [services.storage.dataset(dataset_id)])
    leaving.remove_folders(services)


@with_reserve
def delete_weights(services: Services, weights_id: int) -> None:
    """Delete weights with their files, log and the runs of their training.

    Raises:
        Conflict: while their training or an inference with them runs, or naming the weights that started from them.
    """
    database = services.database
    with database.holding_references():
        record = database.weights.get(weights_id)
        heirs = database.weights.find(pretrained_on=weights_id)
        if heirs:
            raise Conflict(
                f"Weights {weights_id} are what {_named('weights', heirs)} started from; delete those first."
            )
        inferences = database.inferences.find(modelweights_id=weights_id)
        users = [each["process_id"] for each in (record, *inferences) if each["process_id"] is not None]
        refuse_running(services, users, f"Weights {weights_id}")
        folders = [services.storage.weights(weights_id).path, *runs_of(services, record)]
        leaving = delete_noted(services, {"weights": [weights_id]}, folders)
    leaving.remove_folders(services)


def runs_of(services: Services, weights: Mapping) -> list[Path]:
    """Return the run folders of a training: of its newest process, and of those that this one has resumed."""
    folders: list[Path] = []
    process_id = weights["process_id"]
    while process_id is not None:
        run = services.storage.run(process_id)
        config = read_config(run) if run else None
        if run is None or config is None or run.path in folders:
            break
        folders.append(run.path)
        process_id = config.get("resumed_from")
    return folders


def refuse_running(services: Services, process_ids: Sequence[str], subject: str) -> None:
    """Make sure that the processes, those that are still known, have ended.

    Raises:
        Conflict: naming the first that has not.
    """
    for process_id in process_ids:
        try:
            process = find_process(services, process_id)
        except NotFound:
            continue
        if not process.state.is_final:
            raise Conflict(f"{subject} is used by process {process_id}, which has not ended; stop it first.")


def versions_of(services: Services, dataset: Mapping) -> list[dict]:
    """Return the other datasets whose images lie in this one's own folder: a new split shares those of the old."""
    place = base_of(dataset["folder"])
    if not isinstance(place, Path) or not place.is_relative_to(services.storage.dataset(dataset["id"])):
        return []
    sharing = services.database.datasets.find(folder=dataset["folder"])
    return [other for other in sharing if other["id"] != dataset["id"]]


def _named(noun: str, records: Sequence[dict]) -> str:
    ids = ", ".join(str(record["id"]) for record in records[:5])
    return f"{noun} {ids}" + (f" and {len(records) - 5} more" if len(records) > 5 else "")
