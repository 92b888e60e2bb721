import time
from dataclasses import replace

import pytest
from test_jobs_submission import dataset, give_card, projects, request_body

from app.errors import Conflict, NotFound
from app.files import write_json
from app.jobs.inference.start import start_inference
from app.jobs.processes import following, outputs
from app.jobs.queue import JobQueue
from app.jobs.removal.deletion import delete_dataset, delete_project, delete_weights
from app.jobs.training.start import start_training
from app.runs.reader import read_state
from app.runs.state import FAILED, FINISHED, STARTED, STOPPED, RunState
from app.runs.writer import RunWriter

__all__ = ["dataset", "projects", "request_body"]


@pytest.fixture
def training(services, request_body):
    return start_training(services, request_body)


@pytest.fixture
def run(services, training):
    return services.storage.run(training["process_id"])


def set_state(run, **values):
    write_json(run.state, RunState(**values).to_dict())


def test_a_waiting_process_is_running_and_says_its_place(services, training, request_body):
    second = start_training(services, request_body)

    first_status, second_status = (following.status(services, one["process_id"], False) for one in (training, second))

    assert first_status["process_status"] == second_status["process_status"] == "running"
    assert (first_status["queue_position"], second_status["queue_position"]) == (1, 2)


def test_without_redis_the_status_is_still_told(services, training):
    cut_off = replace(services, queue=JobQueue("redis://127.0.0.1:1/0"))

    status = following.status(cut_off, training["process_id"], False)

    assert (status["process_status"], status["queue_position"]) == ("running", None)


@pytest.mark.parametrize(
    ("state", "word"), [(STARTED, "running"), (FINISHED, "finished"), (STOPPED, "finished"), (FAILED, "error")]
)
def test_the_three_words_of_d35(services, training, run, state, word):
    set_state(run, state=state, heartbeat=time.time())

    assert following.status(services, training["process_id"], False)["process_status"] == word


def test_a_process_whose_job_sleeps_is_not_lost(services, training, run):
    with RunWriter(run, run.log) as writer:
        set_state(run, state=STARTED, heartbeat=time.time() - 3600)

        assert following.status(services, training["process_id"], False)["process_status"] == "running"
        writer.close(FINISHED, "Finished")


def test_a_process_that_waits_for_hours_is_not_lost(services, training, run):
    set_state(run, state="queued", heartbeat=time.time() - 36_000)

    assert following.status(services, training["process_id"], False)["process_state"] == "queued"


def test_all_lines_end_with_the_newest(services, training, run):
    with RunWriter(run, run.log) as writer:
        writer.progress("Train 1/2", 0.5, None, is_kept=True)
        writer.close(FINISHED, "Finished")

    assert following.status(services, training["process_id"], True)["process_data"] == ["Train 1/2", "Finished"]


def test_a_stop_withdraws_a_waiting_process_so_that_no_worker_runs_it(services, training, run):
    assert following.stop(services, training["process_id"]) == "Training stopped"

    assert services.queue.position("training", training["process_id"]) is None
    assert read_state(run).state == STOPPED
    with pytest.raises(Conflict, match="has ended already"):
        following.stop(services, training["process_id"])


def test_an_inference_that_was_stopped_says_so_with_its_rows(services, training, request_body):
    record = give_card(services, training["weight_id"], training["process_id"])
    body = {"modelweights_id": record["id"], "dataset_id": request_body["dataset_id"], "project_id": 1}
    process_id = start_inference(services, body)["process_id"]

    assert following.stop(services, process_id) == "Inference stopped"

    assert "before it began" in following.status(services, process_id, False)["process_data"]
    assert outputs.outputs(services, process_id)["outputs"] == []
    assert "were not looked at" in outputs.outputs(services, process_id)["result"]


def test_a_stop_asks_a_running_process(services, training, run):
    services.queue.withdraw("training", training["process_id"])
    set_state(run, state=STARTED, heartbeat=time.time())

    following.stop(services, training["process_id"])

    assert run.stop_request.exists()


@pytest.mark.parametrize("process_id", ["", "nonsense", "../../etc/passwd", "0" * 36, "\0"])
def test_an_unknown_process_is_not_found(services, process_id):
    with pytest.raises(NotFound):
        following.status(services, process_id, False)


def test_what_is_in_use_is_not_deleted(services, training, request_body):
    with pytest.raises(Conflict, match="has not ended"):
        delete_weights(services, training["weight_id"])
    with pytest.raises(Conflict, match="has not ended"):
        delete_project(services, request_body["project_id"])
    with pytest.raises(Conflict, match=f"weights {training['weight_id']} learned from"):
        delete_dataset(services, request_body["dataset_id"])


def test_weights_that_others_started_from_are_kept(services, training, request_body):
    give_card(services, training["weight_id"], training["process_id"])
    heir = start_training(services, request_body | {"weights_id": training["weight_id"]})

    with pytest.raises(Conflict, match=f"weights {heir['weight_id']} started from"):
        delete_weights(services, training["weight_id"])


def test_deleted_weights_leave_no_file_no_record_and_no_reference(services, training, request_body, data_root):
    following.stop(services, training["process_id"])

    delete_weights(services, training["weight_id"])
    delete_dataset(services, request_body["dataset_id"])

    assert not services.storage.weights(training["weight_id"]).path.exists()
    assert not services.storage.run(training["process_id"]).path.exists()
    assert services.database.projects.get(request_body["project_id"])["modelweights_id"] is None
    assert (data_root / "set.yml").exists() and (data_root / "0.png").exists()
