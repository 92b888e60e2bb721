"""Whatever dies, every process has a true state soon after, and goes on by itself where it can."""

import contextlib
import json
import os
import signal

import psutil
import pytest
import urllib3
from conftest import Service, training
from test_resume import PROPERTIES, is_begun, results
from test_stops_and_failures import is_training, programs
from waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupted")


@pytest.fixture(scope="module")
def running(place, data_root):
    """The service of this module, one at a time: `running[0]` is the present one."""
    services = [start(place, data_root)]
    yield services
    assert services[0].stop() == 0, services[0].log.read_text(errors="replace")


def start(place, data_root):
    return Service(place, data_root, CHECKPOINT_MINUTES="0.0005", AUTO_RESUME_TIMES="2", STOP_GRACE_SECONDS="3")


@pytest.fixture(scope="module")
def ids(running, sides_yaml):
    client = running[0].client
    dataset = client.post("/datasets", {"name": "Sides", "task_id": 1, "path": str(sides_yaml)})
    return dataset, client.post("/projects", {"name": "P", "task_id": 1})


@pytest.fixture(scope="module")
def straight(running, ids):
    answer = running[0].client.post("/train", training(*ids, **PROPERTIES))
    assert running[0].client.wait(answer["process_id"])["process_state"] == "finished"
    return results(running[0], answer["weight_id"])


def kill(service, words, index=-1):
    os.kill(programs(service, words)[index].pid, signal.SIGKILL)


def test_a_training_goes_on_as_the_same_process_after_kills_of_its_job_and_its_worker(running, ids, straight):
    service, client = running[0], running[0].client
    answer = client.post("/train", training(*ids, **PROPERTIES))
    process_id = answer["process_id"]

    client.wait(process_id, is_begun)
    kill(service, "worker.py training")
    client.wait(process_id, lambda status: status["interruptions"] == 1)
    client.wait(process_id, is_training)
    kill(service, "worker.py training", 0)

    status = client.wait(process_id)
    assert (status["process_state"], status["interruptions"]) == ("finished", 2)
    assert results(service, answer["weight_id"]) == straight
    log = log_of(service, answer)
    assert log.count("Interrupted (") == log.count("Resumes process ") == 2
    assert "signal 9" in log.partition("Interrupted (1 of at most 2 times): ")[2].splitlines()[0]


def log_of(service, answer):
    return (service.storage / "weights" / str(answer["weight_id"]) / "log.txt").read_text()


def test_a_training_goes_on_after_one_of_its_processes_was_killed(running, ids):
    service, client = running[0], running[0].client
    answer = client.post("/train", training(*ids, **PROPERTIES | {"Devices": "2CPUs"}))
    client.wait(answer["process_id"], is_begun)

    kill(service, "multiprocessing.spawn")

    status = client.wait(answer["process_id"])
    assert (status["process_state"], status["interruptions"]) == ("finished", 1)
    assert "signal 9" in log_of(service, answer).partition("Interrupted (1 of at most 2 times): ")[2].splitlines()[0]


def test_a_stop_ends_also_a_job_that_is_frozen(running, ids):
    service, client = running[0], running[0].client
    process_id = client.post("/train", training(*ids, **PROPERTIES | {"Epochs": "1000"}))["process_id"]
    client.wait(process_id, is_training)
    programs(service, "worker.py training")[-1].suspend()

    client.post("/stopProcess", {"process_id": process_id})

    status = client.wait(process_id)
    assert status["process_state"] == "stopped" and "Stopped by force" in status["process_data"]


def test_a_training_that_is_killed_every_time_fails_with_the_reason_and_the_queue_goes_on(running, ids):
    service, client = running[0], running[0].client
    process_id = client.post("/train", training(*ids, Epochs="100000"))["process_id"]
    for count in range(3):
        client.wait(process_id, lambda status, count=count: is_training(status) and status["interruptions"] == count)
        kill(service, "worker.py training")

    status = client.wait(process_id)
    assert status["process_status"] == "error" and "interrupted 3 times" in status["error"]
    again = client.post("/train", training(*ids, Epochs="1"))["process_id"]
    assert client.wait(again)["process_status"] == "finished"


def test_killed_redis_web_and_workers_are_started_again_and_nothing_is_lost(running, ids):
    service, client = running[0], running[0].client
    long = client.post("/train", training(*ids, Epochs="100000"))["process_id"]
    client.wait(long, is_training)
    waiting = [client.post("/train", training(*ids, Epochs="1"))["process_id"] for _ in range(3)]

    before = starts_again(service)
    for words in ("valkey", "gunicorn", "worker.py inference"):
        kill(service, words, 0)
    wait_until(lambda: starts_again(service) >= before + 3)
    wait_until(lambda: is_answering(client))

    client.wait(long, is_training)
    client.post("/stopProcess", {"process_id": long})
    assert [client.wait(process_id)["process_state"] for process_id in waiting] == ["finished"] * 3


def starts_again(service):
    return service.log.read_text(errors="replace").count("it is started again")


def is_answering(client):
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return client.send("GET", "/projects")[0] == 200


def test_ctrl_c_interrupts_a_running_training_and_a_new_start_goes_on_with_it(running, ids, place, data_root):
    service, client = running[0], running[0].client
    answer = client.post("/train", training(*ids, Epochs="100000"))
    client.wait(answer["process_id"], is_training)
    children = psutil.Process(service.process.pid).children(recursive=True)

    assert service.stop() == 0

    assert not [child for child in children if child.is_running()]
    state = json.loads((service.storage / "runs" / answer["process_id"] / "state.json").read_text())
    assert state["state"] == "queued" and "shut down; best and last weights are kept; it goes on" in state["line"]
    running[0] = start(place, data_root)
    client = running[0].client
    client.wait(answer["process_id"], is_training)
    assert client.get(f"/projects/{ids[1]['id']}")["modelweights_id"] == answer["weight_id"]
    client.post("/stopProcess", {"process_id": answer["process_id"]})
    assert client.wait(answer["process_id"])["process_state"] == "stopped"


def test_everything_is_killed_at_once_and_redis_forgets_all(running, ids, place, data_root):
    service, client = running[0], running[0].client
    long = client.post("/train", training(*ids, Epochs="100000"))["process_id"]
    client.wait(long, is_training)
    waiting = client.post("/train", training(*ids, Epochs="1"))["process_id"]
    children = programs(service, "")

    for process in [service.process, *children]:
        os.kill(process.pid, signal.SIGKILL)
    service.process.wait(PATIENCE_SECONDS)
    for path in (service.storage / "redis").rglob("*.aof"):
        path.unlink()
    for path in (service.storage / "redis").rglob("*.manifest"):
        path.unlink()
    running[0] = start(place, data_root)

    states = service.storage / "runs"
    wait_until(lambda: json.loads((states / long / "state.json").read_text())["interruptions"] == 1)  # nobody asked
    client = running[0].client
    client.wait(long, is_training)
    client.post("/stopProcess", {"process_id": long})
    assert client.wait(long)["process_state"] == "stopped"
    assert client.wait(waiting)["process_state"] == "finished"
    assert not list((service.storage / "unfinished").iterdir())
