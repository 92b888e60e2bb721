"""Going on with a training, up to the queue: what is checked, stored and refused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from test_jobs_submission import dataset, masks, projects, properties, request_body

from app.errors import Conflict, InvalidInput, NotFound, QueueUnavailable
from app.jobs.processes.following import stop
from app.jobs.queue import JobQueue
from app.jobs.removal.deletion import delete_weights
from app.jobs.training.resume import resume_training
from app.jobs.training.start import start_training
from app.runs.reader import read_config, read_state
from app.runs.state import FINISHED, QUEUED
from app.runs.writer import append_row, write_final_state

__all__ = ["dataset", "masks", "projects", "request_body"]


@pytest.fixture
def stopped(services, request_body):
    """A training of 5 epochs that was stopped; the answer of POST /train."""
    answer = start_training(services, request_body | properties(Epochs="5", Learning_rate="1e-3"))
    stop(services, answer["process_id"])
    return answer


def finished(services, answer, epochs):
    """Turn a training that waits into one that has done these epochs."""
    for epoch in range(1, epochs + 1):
        append_row(services.storage.weights(answer["weight_id"]).metrics, {"epoch": epoch, "split": "training"})
    write_final_state(services.storage.run(answer["process_id"]), FINISHED, "Finished")


def test_a_resumed_training_is_a_new_process_with_the_old_weights(services, stopped):
    answer = resume_training(services, {"resume": stopped["process_id"]})

    assert answer["process_id"] != stopped["process_id"] and answer["weight_id"] == stopped["weight_id"]
    run, before = (services.storage.run(entry["process_id"]) for entry in (answer, stopped))
    config, old = read_config(run), read_config(before)
    assert (config["process_id"], config["resumed_from"]) == (answer["process_id"], stopped["process_id"])
    assert config["training"] == old["training"] and config["description"] == f"{old['description']}, resumed"
    assert read_state(run).state == QUEUED
    assert services.queue.position("training", answer["process_id"]) == 1
    assert services.database.weights.get(answer["weight_id"])["process_id"] == answer["process_id"]


def test_ids_and_properties_may_be_sent_along_if_they_agree(services, stopped, request_body):
    same = properties(Epochs=5, learning_rate="0.001", Metric="accuracy", Optimizer=[])

    resume_training(services, {"resume": stopped["process_id"], **request_body, **same})


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"model_id": 2}, "model_id", "has model 1"),
        ({"dataset_id": 99}, "dataset_id", "has dataset 1"),
        ({"project_id": 2}, "project_id", "has project 1"),
        ({"weights_id": 1}, "weights_id", "has initial weights None"),
        (properties(Learning_rate="0.01"), "Learning rate", "it is '1e-3' in the training that is resumed, and cannot"),
        (properties(Epochs="4"), "Epochs", "it is '5' in the training that is resumed, and may only grow"),
        (properties(Epoch="6"), "Epoch", "did you mean 'Epochs'?"),
        (properties(Seed="x"), "Seed", "give a whole number"),
    ],
)
def test_what_differs_from_the_training_is_refused_and_changes_nothing(
    services, stored, stopped, changes, field, words
):
    before = stored()

    with pytest.raises(InvalidInput) as refused:
        resume_training(services, {"resume": stopped["process_id"], **changes})

    assert words in " ".join(refused.value.errors[field])
    assert stored() == before


def test_a_training_of_masks_is_resumed_with_what_only_its_model_allows(services, masks, projects):
    body = {"model_id": 2, "dataset_id": masks["id"], "project_id": projects[1]["id"]}
    answer = start_training(services, body)
    stop(services, answer["process_id"])

    resume_training(services, {"resume": answer["process_id"], **properties(Metric="Dice")})


def test_epochs_may_grow(services, stopped):
    answer = resume_training(services, {"resume": stopped["process_id"], **properties(Epochs="9")})

    assert read_config(services.storage.run(answer["process_id"]))["training"]["epochs"] == 9
    assert services.database.weights.get(answer["weight_id"])["settings"]["3"] == "9"


@pytest.mark.parametrize(("schedule", "may_grow"), [("Constant", True), ("ReduceOnPlateau", True), ("Cosine", False)])
def test_epochs_cannot_grow_where_the_schedule_is_laid_out_for_them(services, request_body, schedule, may_grow):
    answer = start_training(services, request_body | properties(Epochs="5", LR_schedule=schedule))
    stop(services, answer["process_id"])
    request = {"resume": answer["process_id"], **properties(Epochs="6")}

    if may_grow:
        resume_training(services, request)
        return
    with pytest.raises(InvalidInput, match="cannot change, for its LR schedule"):
        resume_training(services, request)


def test_a_finished_training_goes_on_only_with_more_epochs(services, request_body):
    answer = start_training(services, request_body | properties(Epochs="3"))
    finished(services, answer, 3)

    with pytest.raises(Conflict, match="has finished its 3 epochs; send the property Epochs with a larger number"):
        resume_training(services, {"resume": answer["process_id"]})
    resume_training(services, {"resume": answer["process_id"], **properties(Epochs="4")})


def test_a_training_that_ended_early_by_itself_has_nothing_left(services, request_body):
    answer = start_training(services, request_body | properties(Epochs="9"))
    finished(services, answer, 3)

    with pytest.raises(Conflict, match="ended early"):
        resume_training(services, {"resume": answer["process_id"], **properties(Epochs="20")})


def test_a_training_that_has_not_ended_is_not_resumed(services, request_body):
    answer = start_training(services, request_body)

    with pytest.raises(Conflict, match="has not ended"):
        resume_training(services, {"resume": answer["process_id"]})


def test_only_one_of_many_resumes_at_once_is_taken(services, stopped):
    def resume(_):
        try:
            return resume_training(services, {"resume": stopped["process_id"]})
        except Conflict as error:
            return error.message

    with ThreadPoolExecutor(8) as executor:
        answers = list(executor.map(resume, range(8)))

    (taken,) = [answer for answer in answers if isinstance(answer, dict)]
    others = [answer for answer in answers if answer is not taken]
    assert all(f"goes on in process {taken['process_id']} already" in message for message in others)
    assert services.database.weights.get(1)["process_id"] == taken["process_id"]
    assert services.queue.position("training", taken["process_id"]) == 1


def test_the_process_that_went_on_can_be_resumed_again_and_the_old_one_not(services, stopped):
    second = resume_training(services, {"resume": stopped["process_id"]})
    stop(services, second["process_id"])

    with pytest.raises(Conflict, match=f"goes on in process {second['process_id']} already"):
        resume_training(services, {"resume": stopped["process_id"]})
    third = resume_training(services, {"resume": second["process_id"]})

    config = read_config(services.storage.run(third["process_id"]))
    assert config["description"].count("resumed") == 1


def test_what_is_no_training_is_not_resumed(services, dataset):
    with pytest.raises(InvalidInput, match=r"is no training.*/retry runs"):
        resume_training(services, {"resume": services.database.datasets.get(dataset["id"])["check_process_id"]})
    with pytest.raises(NotFound):
        resume_training(services, {"resume": "ec63b923-850a-4d1d-aa24-e9d54a942c1b"})


def test_without_redis_the_training_stays_as_it_was(services, stopped, stored):
    cut_off = replace(services, queue=JobQueue("redis://127.0.0.1:1/0"))
    before = stored()

    with pytest.raises(QueueUnavailable):
        resume_training(cut_off, {"resume": stopped["process_id"]})

    assert stored() == before


def test_deleting_the_weights_deletes_the_runs_of_all_their_processes(services, stopped):
    second = resume_training(services, {"resume": stopped["process_id"]})
    stop(services, second["process_id"])

    delete_weights(services, stopped["weight_id"])

    assert not [
        run for run in services.storage.runs.iterdir() if run.name in (stopped["process_id"], second["process_id"])
    ]
