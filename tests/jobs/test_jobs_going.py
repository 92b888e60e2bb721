"""A web process is killed while it deletes or stores: the next start leaves all of it, or nothing."""

import os
from functools import partial

import orjson
import pytest
from test_jobs_cascade import family
from test_jobs_submission import dataset, projects, request_body

from app.jobs.datasets import registration
from app.jobs.datasets.registration import register_dataset
from app.jobs.initialisation import initialise
from app.jobs.processes.following import stop
from app.jobs.removal import going
from app.jobs.removal.cascade import delete_weights_and_dependents
from app.jobs.removal.deletion import delete_dataset
from app.upkeep.verify import verify

__all__ = ["dataset", "family", "projects", "request_body"]


def killed_at(module, place, monkeypatch, work, calls=1):
    """Do the work in a child that dies where `place` of the module would be called this time."""
    child = os.fork()
    if child == 0:
        real, left = getattr(module, place), iter(range(calls - 1))

        def call(*arguments, **keywords):
            if next(left, None) is None:
                os._exit(9)
            return real(*arguments, **keywords)

        monkeypatch.setattr(module, place, call)
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def faults(services):
    findings = verify(services.storage.root, is_served=False).findings
    return [(finding.place, finding.fault) for finding in findings]


def test_a_dataset_that_was_half_stored_is_gone(services, data_root, stored, monkeypatch):
    before = stored()

    killed_at(
        registration, "_record", monkeypatch, partial(register_dataset, services, "Set", 1, str(data_root / "set.yml"))
    )
    assert faults(services)
    initialise(services)

    assert stored() == before and not faults(services)


def test_a_dataset_that_was_stored_but_not_acknowledged_is_whole_or_gone(services, data_root, monkeypatch):
    killed_at(
        registration,
        "start_check",
        monkeypatch,
        partial(register_dataset, services, "Set", 1, str(data_root / "set.yml")),
    )
    initialise(services)

    (record,) = services.database.datasets.find(name="Set")
    assert services.storage.description(record["id"]).exists() and not faults(services)


def test_the_files_of_a_deleted_dataset_go_at_the_next_start(services, dataset, monkeypatch):
    killed_at(going.shutil, "rmtree", monkeypatch, partial(delete_dataset, services, dataset["id"]))
    assert services.storage.dataset(dataset["id"]).exists()
    initialise(services)

    assert not services.storage.dataset(dataset["id"]).exists() and not faults(services)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_cascade_that_was_killed_between_records_is_finished(services, family, request_body, monkeypatch, calls):
    first, _, inference = family
    stop(services, inference)

    delete = partial(delete_weights_and_dependents, services, first["weight_id"])
    killed_at(going, "forget", monkeypatch, delete, calls)
    initialise(services)

    database, storage = services.database, services.storage
    assert database.weights.all() == database.inferences.all() == []
    assert not [*storage.all_weights.glob("[!.]*")] and not faults(services)
    assert database.projects.get(request_body["project_id"])["modelweights_id"] is None


@pytest.mark.parametrize(
    "note",
    [
        '{"ids": {"weig',
        "[]",
        '{"ids": {"weights": ["1"]}, "folders": [], "is_new": false}',
        '{"ids": {"folder": [1]}, "folders": [], "is_new": false}',
        '{"ids": {}, "folders": ["weights/../../elsewhere"], "is_new": false}',
    ],
)
def test_a_note_that_was_half_written_or_edited_changes_nothing(services, family, note):
    elsewhere = services.storage.root.parent / "elsewhere"
    elsewhere.mkdir()
    (services.storage.going / "0").write_text(note)
    initialise(services)

    assert elsewhere.exists()

    assert len(services.database.weights.all()) == 2 and not list(services.storage.going.iterdir())


def test_a_note_that_a_power_cut_brings_back_takes_nothing_that_was_stored(services, dataset, monkeypatch):
    ids, folder = {"datasets": [dataset["id"]]}, f"datasets/{dataset['id']}"
    (services.storage.going / "0").write_bytes(orjson.dumps({"ids": ids, "folders": [folder], "is_new": True}))
    initialise(services)

    assert services.database.datasets.get(dataset["id"]) == dataset and not faults(services)
    assert not list(services.storage.going.iterdir())


def test_what_cannot_be_read_now_goes_at_another_start(services, dataset, monkeypatch):
    killed_at(going.shutil, "rmtree", monkeypatch, partial(delete_dataset, services, dataset["id"]))
    (note,) = services.storage.going.iterdir()
    note.write_bytes(orjson.dumps(orjson.loads(note.read_bytes()) | {"ids": {"weights": [1]}}))
    projects = services.database.tables()["projects"].placement
    services.database.projects.add({"name": "P", "task_id": 1, "modelweights_id": 1, "inference_id": None})
    (number,) = projects.present()
    whole = projects.path(number).read_bytes()
    projects.path(number).write_bytes(b"{")
    going.finish(services)
    assert note.exists()

    projects.path(number).write_bytes(whole)
    going.finish(services)
    assert not note.exists() and not services.storage.dataset(dataset["id"]).exists()
