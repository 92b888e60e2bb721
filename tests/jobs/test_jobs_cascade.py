from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_jobs_submission import dataset, give_card, projects, request_body

from app.errors import Conflict, NotFound
from app.jobs.datasets.checking import stop_check
from app.jobs.datasets.versions import split_dataset
from app.jobs.inference.start import start_inference
from app.jobs.processes.following import stop
from app.jobs.removal.cascade import (
    delete_dataset_and_dependents,
    delete_project_and_dependents,
    delete_weights_and_dependents,
)
from app.jobs.services import open_services
from app.jobs.training.start import start_training

__all__ = ["dataset", "projects", "request_body"]


@pytest.fixture
def family(services, dataset, request_body):
    """Weights, weights that started from them, and an inference with those; all have ended."""
    first = start_training(services, request_body)
    stop(services, first["process_id"])
    give_card(services, first["weight_id"], first["process_id"])
    heir = start_training(services, request_body | {"weights_id": first["weight_id"]})
    stop(services, heir["process_id"])
    give_card(services, heir["weight_id"], heir["process_id"])
    stop_check(services, dataset)
    body = {"modelweights_id": heir["weight_id"], "dataset_id": dataset["id"], "project_id": request_body["project_id"]}
    return first, heir, start_inference(services, body)["process_id"]


def left(services):
    """Return what is left of weights and inferences, in the records and on the disk."""
    database, storage = services.database, services.storage
    records = [*database.weights.all(), *database.inferences.all()]
    return records, [*storage.all_weights.glob("[!.]*")], list(storage.runs.iterdir())


@pytest.mark.parametrize("kind", ["weights", "project"])
def test_what_depends_on_it_goes_too_with_all_its_files(services, family, request_body, dataset, kind):
    first, _, inference = family
    stop(services, inference)

    if kind == "weights":
        delete_weights_and_dependents(services, first["weight_id"])
    else:
        delete_project_and_dependents(services, request_body["project_id"])

    check = services.storage.run(dataset["check_process_id"])
    assert left(services) == ([], [], [check.path])
    if kind == "weights":
        project = services.database.projects.get(request_body["project_id"])
        assert project["modelweights_id"] is project["inference_id"] is None
    else:
        with pytest.raises(NotFound):
            services.database.projects.get(request_body["project_id"])


def test_a_dataset_goes_with_its_splits_and_never_with_its_owners_files(services, family, dataset, data_root):
    stop(services, family[2])
    split_dataset(services, dataset["id"], {"seed": 1})

    delete_dataset_and_dependents(services, dataset["id"])

    assert left(services)[:2] == ([], [])
    assert not services.storage.dataset(dataset["id"]).exists()
    assert (data_root / "set.yml").exists() and (data_root / "0.png").exists()


def test_nothing_goes_while_a_process_of_any_has_not_ended(services, family, stored):
    before = stored()

    with pytest.raises(Conflict, match=f"used by process {family[2]}"):
        delete_weights_and_dependents(services, family[0]["weight_id"])

    assert stored() == before


def test_what_does_not_exist_is_not_found(services):
    for delete in (delete_project_and_dependents, delete_dataset_and_dependents, delete_weights_and_dependents):
        with pytest.raises(NotFound):
            delete(services, 99)


def wait_until_waited_for(lock):
    """Return as soon as somebody waits for the lock on this file."""
    while f":{lock.stat().st_ino} " not in "".join(
        line for line in Path("/proc/locks").read_text().splitlines() if "->" in line
    ):
        pass


def test_a_training_that_goes_on_while_its_weights_are_to_be_deleted_keeps_them(services, family, request_body):
    stop(services, family[2])
    weights_id, resumed = family[0]["weight_id"], start_training(services, request_body)["process_id"]
    database = services.database
    with ThreadPoolExecutor(1) as other:
        with database.holding_references():  # as who resumes does
            deletion = other.submit(delete_weights_and_dependents, open_services(services.settings), weights_id)
            wait_until_waited_for(database.folder / "references.lock")
            database.weights.update(weights_id, process_id=resumed)

        with pytest.raises(Conflict, match=f"used by process {resumed}"):
            deletion.result()
    assert database.weights.get(weights_id)["process_id"] == resumed
