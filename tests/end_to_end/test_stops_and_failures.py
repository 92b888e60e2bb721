"""Stops, and everything that goes wrong while a process runs."""

import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest
from conftest import training
from waiting import PATIENCE_SECONDS

RESNET18 = 4


def programs(service, words):
    """Return the service's processes whose command line has these words, parents before children."""
    found = []
    for process in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if words in " ".join(process.cmdline()):
                found.append(process)
    return found


def is_training(status):
    return status["process_state"] == "started" and "Train " in status["process_data"]


@pytest.fixture
def long_training(client, sides, project):
    answer = client.post("/train", training(sides, project, Epochs="100000"))
    client.wait(answer["process_id"], is_training)
    yield answer
    client.send("POST", "/stopProcess", {"process_id": answer["process_id"]})
    client.wait(answer["process_id"])


def test_a_running_training_stops_soon_and_keeps_its_weights(client, service, long_training):
    process_id = long_training["process_id"]
    client.wait(process_id, lambda status: "Train 1/" not in status["process_data"] and is_training(status))

    assert client.post("/stopProcess", {"process_id": process_id}) == {"result": "Training stopped"}
    status = client.wait(process_id)

    assert (status["process_status"], status["process_state"]) == ("finished", "stopped")
    assert status["process_data"].startswith("Stopped at epoch ")  # by itself, within its grace: else "by force"
    folder = service.storage / "weights" / str(long_training["weight_id"])
    assert (folder / "best.pt").exists() and (folder / "last.pt").exists()
    assert client.send("POST", "/stopProcess", {"process_id": process_id})[0] == 409


def test_a_waiting_training_is_withdrawn_before_it_starts(client, sides, project, long_training):
    waiting = client.post("/train", training(sides, project, Epochs="1"))["process_id"]
    status = client.status(waiting)
    assert (status["process_status"], status["process_state"], status["queue_position"]) == ("running", "queued", 1)

    assert client.post("/stopProcess", {"process_id": waiting}) == {"result": "Training stopped"}

    status = client.status(waiting)
    assert (status["process_status"], status["process_state"]) == ("finished", "stopped")


def test_weights_without_a_file_cannot_be_used_yet(client, sides, project, long_training):
    weights_id = client.post("/train", training(sides, project, Epochs="1"))["weight_id"]

    body = {"modelweights_id": weights_id, "dataset_id": sides["id"], "project_id": project["id"]}
    status, answer = client.send("POST", "/inference", body)

    assert status == 409 and "no file yet" in answer["message"]
    assert client.get(f"/weights/{weights_id}")["id"] == weights_id
    assert weights_id not in [weights["id"] for weights in client.get("/weights?model_id=1")]


def test_a_file_that_is_no_image_fails_the_training_with_its_name(client, data_root, sides_yaml, project):
    folder = data_root / "damaged"
    folder.mkdir()
    for path in sides_yaml.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    dataset = client.post("/datasets", {"name": "Damaged", "task_id": 1, "path": str(folder / "sides.yml")})
    (folder / "3.png").write_bytes(b"this is text")

    process_id = client.post("/train", training(dataset, project, Epochs="1"))["process_id"]
    status = client.wait(process_id)

    assert (status["process_status"], status["process_state"]) == ("error", "failed")
    assert "3.png" in status["error"] and "Traceback" not in str(client.get(f"/status?process_id={process_id}&full=1"))


@pytest.fixture
def little_memory(service):
    """Let trainings have 896 MiB more than their worker: twice what one image needs, half of what 15 need."""
    worker = programs(service, "worker.py training")[0]
    before = worker.rlimit(psutil.RLIMIT_AS)
    worker.rlimit(psutil.RLIMIT_AS, (worker.memory_info().vms + 896 * 2**20, before[1]))
    yield
    worker.rlimit(psutil.RLIMIT_AS, before)


def large_batches(sides, project, **properties):
    size = {"Input_height": 384, "Input_width": 384, "Batch_size": 15, "Epochs": 1}
    return training(sides, project, RESNET18, **size, **properties)


def test_a_batch_that_finds_no_memory_ends_as_an_error_that_says_what_to_change(client, sides, project, little_memory):
    status = client.wait(client.post("/train", large_batches(sides, project))["process_id"])

    assert status["process_status"] == "error"
    assert "memory of this machine is used up; lower Batch size or the input size" in status["error"]


def test_batches_are_halved_until_they_fit_and_it_is_told(client, service, sides, project, little_memory):
    answer = client.post("/train", large_batches(sides, project, Halve_batch_size="yes"))

    status = client.wait(answer["process_id"])
    assert status["process_status"] == "finished", status
    folder = service.storage / "weights" / str(answer["weight_id"])
    assert "Batch size 15 does not fit into memory" in (folder / "log.txt").read_text()
    for record in (folder / "weights.json", service.storage / "runs" / answer["process_id"] / "config.json"):
        config = json.loads(record.read_text())
        assert config.get("training", config.get("config"))["batch_parts"] > 1


def test_without_redis_a_training_is_refused_and_leaves_nothing(tmp_path, data_root, sides_yaml):
    from app import create_app
    from app.settings import Settings

    settings = Settings(storage_dir=tmp_path, redis_url="redis://127.0.0.1:1/0", data_roots=(data_root,))
    web = create_app(settings).test_client()
    dataset = web.post("/backend/datasets", json={"name": "S", "task_id": 1, "path": str(sides_yaml)}).get_json()
    project = web.post("/backend/projects", json={"name": "P", "task_id": 1}).get_json()

    answer = web.post("/backend/train", json=training(dataset, project))

    assert answer.status_code == 503 and "Redis" in answer.get_json()["message"]
    assert list((tmp_path / "runs").iterdir()) == [] and list((tmp_path / "weights").glob("[!.]*")) == []
    assert web.get("/backend/weights/1").status_code == 404
    assert web.get(f"/backend/projects/{project['id']}").get_json()["modelweights_id"] is None


def test_a_body_that_is_far_too_large_is_refused_before_it_is_sent(service):
    address = urlsplit(service.client.base)
    head = f"POST /backend/datasets HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {10**12}\r\n"
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
