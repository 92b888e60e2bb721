import pytest
from test_jobs_submission import dataset, give_card, projects, request_body

from app.errors import Conflict, InvalidInput, NotFound
from app.jobs.datasets.checking import stop_check
from app.jobs.inference.start import start_inference, start_single_inference
from app.jobs.processes.following import find_process, stop
from app.jobs.processes.retry import retry
from app.jobs.removal.deletion import delete_weights
from app.jobs.training.start import start_training
from app.runs.reader import read_config
from app.runs.state import FINISHED, QUEUED
from app.runs.writer import write_final_state

__all__ = ["dataset", "projects", "request_body"]


@pytest.fixture
def ids(services, request_body):
    """What an inference refers to."""
    answer = start_training(services, request_body)
    stop(services, answer["process_id"])
    give_card(services, answer["weight_id"], answer["process_id"])
    return {"modelweights_id": answer["weight_id"], "project_id": request_body["project_id"]}


@pytest.fixture
def inference(services, ids, request_body):
    return start_inference(services, ids | {"dataset_id": request_body["dataset_id"]})["process_id"]


def test_a_training_goes_on_with_its_weights(services, request_body):
    answer = start_training(services, request_body)
    with pytest.raises(Conflict, match="has not ended"):
        retry(services, answer["process_id"])
    stop(services, answer["process_id"])

    again = retry(services, answer["process_id"])

    assert again["weight_id"] == answer["weight_id"]
    assert find_process(services, again["process_id"]).config["resumed_from"] == answer["process_id"]


def test_an_inference_starts_over_and_a_finished_one_does_not(services, inference):
    stop(services, inference)

    again = find_process(services, retry(services, inference)["process_id"])

    before = read_config(services.storage.run(inference))
    assert again.state.state == QUEUED and again.config["dataset"] == before["dataset"]
    write_final_state(again.run, FINISHED, "Finished")
    with pytest.raises(Conflict, match="has finished"):
        retry(services, again.id)


def test_an_inference_of_one_image_starts_over_with_the_image_and_its_name(services, ids, data_root):
    content = (data_root / "1.png").read_bytes()
    first = start_single_inference(services, **ids, image_file=content, location="http://lab/1.png")["process_id"]
    stop(services, first)

    again = find_process(services, retry(services, first)["process_id"])

    assert (again.run.inputs / "image").read_bytes() == content
    assert again.config["image"]["location"] == "http://lab/1.png"


def test_a_check_starts_over(services, dataset):
    stop_check(services, dataset)

    again = retry(services, dataset["check_process_id"])["process_id"]

    assert services.database.datasets.get(dataset["id"])["check_process_id"] == again


def test_what_was_deleted_is_named(services, ids, inference):
    stop(services, inference)
    delete_weights(services, ids["modelweights_id"])

    with pytest.raises(InvalidInput, match="There is no weights entry"):
        retry(services, inference)
    with pytest.raises(NotFound):
        retry(services, "ec63b923-850a-4d1d-aa24-e9d54a942c1b")
