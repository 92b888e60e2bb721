"""A web process is killed while it stores a process: at each place, in a process of its own."""

import os

import pytest
from test_jobs_submission import dataset, give_card, projects, request_body

from app.jobs.inference import start as inference_start
from app.jobs.initialisation import initialise
from app.jobs.processes import submission
from app.jobs.processes.following import stop
from app.jobs.training.resume import resume_training
from app.jobs.training.start import start_training
from app.runs.reader import unfinished_processes

__all__ = ["dataset", "projects", "request_body"]


def killed_at(place, monkeypatch, work):
    """Do the work in a child that dies where `place` would be called."""
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(submission, place, lambda *_: os._exit(9))
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("place", ["prepare_run", "queue_run"])
def test_what_was_half_stored_is_gone_at_the_next_start(services, stored, request_body, monkeypatch, place):
    before = stored()

    killed_at(place, monkeypatch, lambda: start_training(services, request_body))
    initialise(services)

    assert stored() == before


def test_the_folder_of_weights_that_were_never_recorded_is_gone_too(services, stored, request_body, monkeypatch):
    before = stored()

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(services.database.weights, "add", lambda *_: os._exit(9))
        start_training(services, request_body)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    initialise(services)

    assert stored() == before


def test_a_training_whose_resume_was_half_stored_can_be_resumed(services, request_body, monkeypatch):
    answer = start_training(services, request_body)
    stop(services, answer["process_id"])
    request = {"resume": answer["process_id"]}

    killed_at("queue_run", monkeypatch, lambda: resume_training(services, request))
    initialise(services)

    assert resume_training(services, request)["weight_id"] == answer["weight_id"]


def test_an_inference_that_was_half_stored_is_gone(services, request_body, monkeypatch):
    training = start_training(services, request_body)
    weights = give_card(services, training["weight_id"], training["process_id"])
    body = {"modelweights_id": weights["id"], "dataset_id": request_body["dataset_id"], "project_id": 1}
    before = unfinished_processes(services.storage)

    killed_at("queue_run", monkeypatch, lambda: inference_start.start_inference(services, body))
    initialise(services)

    assert services.database.inferences.all() == [] and unfinished_processes(services.storage) == before


def test_a_run_whose_config_is_damaged_keeps_nobody_from_starting(services, request_body, monkeypatch):
    killed_at("queue_run", monkeypatch, lambda: start_training(services, request_body))
    runs = [services.storage.run(process_id) for process_id in unfinished_processes(services.storage)]
    (run,) = [run for run in runs if not run.state.exists()]
    run.config.write_text("[]")

    initialise(services)

    assert run.config.exists() and start_training(services, request_body)["result"] == "ok"
