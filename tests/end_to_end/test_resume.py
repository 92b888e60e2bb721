"""A training that was killed, was stopped, or lost Redis, and goes on."""

import json
import os
import random
import signal

import pytest
import torch
from conftest import Service, training
from test_stops_and_failures import is_training, programs

PROPERTIES = {
    "Epochs": "10",  # long enough for two kills on a fast machine
    "Input_height": "36",
    "Batch_size": "1",
    "Augmentations": "AugRotate angle=[-20,20]",
    "Seed": "4",
}


@pytest.fixture(scope="module")
def saving_service(tmp_path_factory, data_root, redis_program):
    """A service with a Redis of ours that saves at nearly every batch, and goes on with nothing by itself."""
    folder = tmp_path_factory.mktemp("saving")
    options = {"CHECKPOINT_MINUTES": "0.0005", "AUTO_RESUME_TIMES": "0"}
    service = Service(folder, data_root, REDIS_URL=redis_program.url, **options)
    yield service
    assert service.stop() == 0, service.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def body(saving_service, sides_yaml):
    client = saving_service.client
    dataset = client.post("/datasets", {"name": "Sides", "task_id": 1, "path": str(sides_yaml)})
    project = client.post("/projects", {"name": "P", "task_id": 1})
    return training(dataset, project, **PROPERTIES)


@pytest.fixture(scope="module")
def straight(saving_service, body):
    answer = saving_service.client.post("/train", body)
    assert saving_service.client.wait(answer["process_id"])["process_state"] == "finished"
    return results(saving_service, answer["weight_id"])


def results(service, weights_id):
    """Return the best and the last weights, and the rows of the metrics without what is measured in seconds."""
    folder = service.storage / "weights" / str(weights_id)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = torch.load(folder / "last.pt", weights_only=True)["weights"]
    numbers = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    return (folder / "best.pt").read_bytes(), {name: value.numpy().tobytes() for name, value in last.items()}, numbers


def kill_work_horse(service):
    """Kill the training's process as the kernel does when memory is short."""
    _, work_horse = programs(service, "worker.py training")
    os.kill(work_horse.pid, signal.SIGKILL)


def test_a_killed_training_goes_on_and_ends_bit_for_bit_as_one_that_was_not(saving_service, body, straight):
    client, generator = saving_service.client, random.Random(1)
    answer = client.post("/train", body)
    for goal in (generator.uniform(0, 0.3), generator.uniform(0.4, 0.7)):
        client.wait(answer["process_id"], lambda status, goal=goal: is_begun(status) and status["progress"] >= goal)
        kill_work_horse(saving_service)
        assert client.wait(answer["process_id"])["process_state"] == "failed"
        answer = client.post("/train", {"resume": answer["process_id"]})

    assert client.wait(answer["process_id"])["process_state"] == "finished"
    assert results(saving_service, answer["weight_id"]) == straight
    assert client.get(f"/weights/{answer['weight_id']}")["celery_id"] == answer["process_id"]


def is_begun(status):
    return status["process_state"] == "started" and status["progress"] > 0


def test_a_stopped_training_goes_on_from_the_batch_it_was_stopped_at(saving_service, body, straight):
    client = saving_service.client
    process_id = client.post("/train", body)["process_id"]
    client.wait(process_id, is_training)
    client.post("/stopProcess", {"process_id": process_id})
    assert client.wait(process_id)["process_state"] == "stopped"

    answer = client.post("/train", {"resume": process_id})

    status, refusal = client.send("POST", "/train", {"resume": process_id})
    assert status == 409 and answer["process_id"] in refusal["message"]
    status = client.wait(answer["process_id"])
    assert (status["process_state"], status["resumed_from"]) == ("finished", process_id)
    assert results(saving_service, answer["weight_id"]) == straight
    log = (saving_service.storage / "weights" / str(answer["weight_id"]) / "log.txt").read_text()
    assert f"Resumes process {process_id} at epoch " in log


def test_a_training_killed_before_it_saved_anything_begins_anew(saving_service, body, straight):
    client = saving_service.client
    process_id = client.post("/train", body)["process_id"]
    client.wait(process_id, lambda status: status["process_state"] == "started")
    kill_work_horse(saving_service)
    assert client.wait(process_id)["process_state"] == "failed"

    answer = client.post("/train", {"resume": process_id})

    assert client.wait(answer["process_id"])["process_state"] == "finished"
    assert results(saving_service, answer["weight_id"]) == straight


def test_a_changed_dataset_is_not_gone_on_with(saving_service, sides_yaml, data_root):
    client = saving_service.client
    folder = data_root / "changing"
    folder.mkdir()
    for path in sides_yaml.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    dataset = client.post("/datasets", {"name": "Changing", "task_id": 1, "path": str(folder / "sides.yml")})
    project = client.post("/projects", {"name": "P", "task_id": 1})
    answer = client.post("/train", training(dataset, project, Epochs="100000"))
    client.wait(answer["process_id"], is_training)
    client.post("/stopProcess", {"process_id": answer["process_id"]})
    client.wait(answer["process_id"])
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes() + b"more")

    resumed = client.post("/train", {"resume": answer["process_id"]})

    assert "The dataset has changed" in client.wait(resumed["process_id"])["error"]


def test_a_training_outlives_redis_and_the_service_goes_on_when_it_is_back(saving_service, redis_program, body):
    client = saving_service.client
    process_id = client.post("/train", body | {"properties": [{"name": "Epochs", "value": "100000"}]})["process_id"]
    client.wait(process_id, is_training)

    redis_program.stop()
    assert client.send("POST", "/train", body)[0] == 503
    before = client.status(process_id)["progress"]
    client.wait(process_id, lambda status: status["progress"] > before)
    redis_program.start()

    client.post("/stopProcess", {"process_id": process_id})
    assert client.wait(process_id)["process_state"] == "stopped"
    again = client.post("/train", body | {"properties": [{"name": "Epochs", "value": "1"}]})
    assert client.wait(again["process_id"])["process_status"] == "finished"
