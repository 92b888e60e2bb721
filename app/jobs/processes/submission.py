"""Make a process: its run folder, its record, its job; all of them or none."""

import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress

from app.errors import NotFound, StorageFull, StorageUnavailable
from app.jobs import queue
from app.jobs.removal.reserve import keep_reserve, using_reserve
from app.jobs.request_checks import referenced
from app.jobs.services import Services
from app.repositories.repository import Repository
from app.runs.identity import make_identity
from app.runs.layout import RunFolder, StorageLayout
from app.runs.writer import prepare_run, queue_run


def submit(
    services: Services,
    run_config: dict,
    store: Callable[[str], object],
    undo: Callable[[str], object],
    place: Callable[[RunFolder], None] | None = None,
) -> str:
    """Make the run folder, store the record, enqueue; take all of it back when any step fails.

    The state comes last of what is stored: of a web process that is killed here, `abandoned` finds all before it and
    takes that back, and `app.jobs.worker.recovery` enqueues what was stored whole.

    Args:
        services: the opened service.
        run_config: the frozen config; the ids in it have been found to exist.
        store: writes the record of the process whose id it gets.
        undo: takes back what `store` did for this process id, also a part of it; may be called twice.
        place: puts files into the run folder.

    Raises:
        InvalidInput: when something that the config refers to has been deleted since it was found.
        QueueUnavailable: when Redis cannot be reached.
    """
    process_id = str(uuid.uuid4())
    run = RunFolder(services.storage.runs / process_id)
    try:
        with services.database.holding_references():
            _check_references(services, run_config)
            prepare_run(run, {"process_id": process_id, **run_config})
            if place is not None:
                place(run)
            store(process_id)
            queue_run(run)
        services.queue.claim(make_identity(services.storage.root))
        services.queue.enqueue(
            run_config["type"], process_id, run_config["description"], wants_gpu=queue.wants_gpu(run_config)
        )
    except BaseException:
        _take_back(services.storage, run, lambda: undo(process_id))
        raise
    return process_id


def _take_back(storage: StorageLayout, run: RunFolder, undo: Callable[[], object]) -> None:
    """Undo what was stored; where even the reserve is no room for that, the next start does, for it is half made."""
    run.state.unlink(missing_ok=True)
    with suppress(StorageUnavailable):
        using_reserve(storage, undo)
        shutil.rmtree(run.path, ignore_errors=True)
        run.unfinished_mark.unlink(missing_ok=True)
    keep_reserve(storage)


def _check_references(services: Services, run_config: Mapping) -> None:
    database = services.database
    if "project_id" in run_config:
        referenced(database.projects, run_config, "project_id")
    if run_config["dataset"] is not None:
        referenced(database.datasets, {"dataset_id": run_config["dataset"]["id"]}, "dataset_id")
    initial = run_config.get("initial_weights_id")
    used = run_config["weights_id"] if run_config["type"] == queue.INFERENCE else initial
    if used is not None:
        referenced(database.weights, {"weights_id": used}, "weights_id")


def forget(repository: Repository, record_id: int) -> None:
    """Delete a record that may not be there."""
    try:
        repository.delete(record_id)
    except NotFound:
        return


def show_in_project(projects: Repository, project_id: int, **latest: int) -> None:
    """Note the latest training or inference of a project."""
    try:
        projects.update(project_id, **latest)
    except (NotFound, StorageFull):
        # Deleted in between, or no room: the process goes on, and whoever started it is told its id.
        return
