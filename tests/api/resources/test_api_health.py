"""How the service tells that it is well, or not."""

import os
import socket
import time
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec

import pytest
from api_sandbox import UNREACHABLE_REDIS, assert_error
from redis import Redis
from waiting import PATIENCE_SECONDS

from app import create_app
from app.access.tokens import stored_tokens
from app.api.middleware import measurements
from app.jobs import health, redis_probe
from app.jobs.redis_probe import PID_SPACE_FIELD
from app.jobs.running_code import CODE_FIELD, running_code
from app.pids import pid_space
from app.settings import Settings


def worker(redis_url, name, queues, pid=None, host=None, clock_off=0, code=None, space=None):
    """Lay into Redis what an RQ worker writes of itself, by a clock that many seconds off."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + clock_off))
    fields = {"queues": queues, "hostname": host or socket.gethostname(), "pid": pid or os.getpid(), "state": "idle"}
    fields |= {CODE_FIELD: code or running_code(), PID_SPACE_FIELD: space or pid_space()}
    with Redis.from_url(redis_url) as redis:
        redis.hset(f"rq:worker:{name}", mapping=fields | {"birth": moment, "last_heartbeat": moment})
        redis.sadd("rq:workers", f"rq:worker:{name}")


def test_without_workers_the_service_is_degraded_and_says_what_to_do(client, training):
    answer = client.get("/backend/health")

    assert answer.status_code == 200 and answer.json["status"] == "degraded"
    assert "python worker.py training" in answer.json["problems"][0]
    queues = {queue["name"]: queue for queue in answer.json["queues"]}
    assert queues["training"]["waiting"] == 1 and queues["training"]["workers"] == 0
    assert answer.json["disk"]["free_bytes"] > 0


def test_it_says_which_engines_are_installed_in_which_versions_and_what_the_others_lack(client):
    engines = {entry["name"]: entry for entry in client.get("/backend/health").json["engines"]}

    assert list(engines) == ["torch", "eddl"]
    assert engines["torch"]["is_installed"] and engines["torch"]["versions"]["torch"] == version("torch")
    assert engines["torch"]["remedy"] is None
    is_there = find_spec("pyeddl") is not None and find_spec("pyecvl") is not None
    assert engines["eddl"]["is_installed"] == is_there
    assert is_there or "docs/eddl.md" in engines["eddl"]["remedy"]


def test_with_workers_it_is_well_whatever_their_clocks_say_and_the_dead_are_not_counted(client, settings):
    worker(settings.redis_url, "a", "training")
    worker(settings.redis_url, "b", "inference,training", host="elsewhere", pid=1, space="elsewhere", clock_off=-86_400)
    worker(settings.redis_url, "a copy of this machine", "inference", pid=2**22 - 1, space="elsewhere")
    worker(settings.redis_url, "killed", "inference", pid=2**22 - 1)
    worker(settings.redis_url, "lost", "inference", host="elsewhere")
    with Redis.from_url(settings.redis_url) as redis:
        redis.delete("rq:worker:lost")  # as its time to live does

    answer = client.get("/backend/health").json

    assert answer["status"] == "ok" and answer["problems"] == []
    assert [(entry["host"], entry["queues"]) for entry in answer["workers"]] == [
        (socket.gethostname(), ["training"]),
        (socket.gethostname(), ["inference"]),
        ("elsewhere", ["inference", "training"]),
    ]
    assert {queue["name"]: queue["workers"] for queue in answer["queues"] if queue["workers"]} == {
        "training": 2,
        "inference": 2,
    }


def test_a_worker_that_runs_other_code_than_the_web_server_is_named(client, settings):
    worker(settings.redis_url, "here", "training,inference")
    worker(settings.redis_url, "old", "training", host="gpu-box", space="elsewhere", code="that of last year")

    answer = client.get("/backend/health").json

    assert answer["status"] == "degraded"
    assert ["gpu-box runs another version" in problem for problem in answer["problems"]] == [True]
    assert {entry["host"]: entry["is_same_version"] for entry in answer["workers"]} == {
        socket.gethostname(): True,
        "gpu-box": False,
    }


def test_a_worker_of_whom_nonsense_is_written_is_no_error(client, settings):
    worker(settings.redis_url, "odd", "training", host="elsewhere", pid="-4711a", space="elsewhere")

    assert [entry["pid"] for entry in client.get("/backend/health").json["workers"]] == [0]


def test_without_redis_it_fails(settings):
    client = create_app(Settings(**vars(settings) | {"redis_url": UNREACHABLE_REDIS})).test_client()
    answer = client.get("/backend/health")
    assert answer.status_code == 503 and answer.json["status"] == "failing"
    assert not answer.json["redis"]["is_reachable"] and "Redis does not answer" in answer.json["problems"][0]


def test_a_redis_that_hangs_is_not_waited_for(settings, monkeypatch):
    monkeypatch.setattr(redis_probe, "PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout={PATIENCE_SECONDS}"
        client = create_app(Settings(**vars(settings) | {"redis_url": url})).test_client()
        silent.settimeout(0)

        answers = [client.get("/backend/health").json for _ in range(5)]

        assert [answer["status"] for answer in answers] == ["failing"] * 5
        with silent.accept()[0], pytest.raises(BlockingIOError):
            silent.accept()  # the first question still waits, in its own thread; no other was asked


def test_a_redis_that_is_slow_to_answer_the_first_question_is_not_away(settings, monkeypatch):
    monkeypatch.setattr(redis_probe, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(redis_probe, "GLANCE_SECONDS", 0.0)

    answers = [create_app(settings).test_client().get("/backend/health").json for _ in range(3)]

    assert [answer["redis"]["is_reachable"] for answer in answers] == [True] * 3


def test_a_full_disk_fails_and_a_filling_one_is_told(client, settings, monkeypatch):
    free = client.get("/backend/health").json["disk"]["free_bytes"]
    monkeypatch.setattr(health, "LOW_BYTES", 2 * free)
    low = client.get("/backend/health")
    monkeypatch.setattr(health, "FULL_BYTES", 2 * free)
    full = client.get("/backend/health")

    assert low.status_code == 200 and low.json["status"] == "degraded" and "MiB are free" in low.json["problems"][-1]
    assert full.status_code == 503 and full.json["status"] == "failing"


@contextmanager
def read_only(folder):
    """Have a folder that this process cannot write; to root, whom no mode keeps away, it is asked as somebody else."""
    if os.geteuid() == 0:
        os.setreuid(65534, -1)  # the real user alone, whom access(2) asks about
    else:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            os.setreuid(0, -1)
        else:
            folder.chmod(0o700)


def test_a_storage_folder_that_cannot_be_written_fails_until_it_can(client, settings):
    with read_only(settings.storage_dir):
        refused = client.get("/backend/health")
    again = client.get("/backend/health")

    assert refused.status_code == 503 and refused.json["status"] == "failing"
    assert "storage folder cannot be written" in refused.json["problems"][0]
    assert again.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer dht_any"}])
def test_a_storage_folder_that_is_gone_fails_in_the_one_word_that_needs_no_token(client, settings, headers):
    settings.storage_dir.rename(settings.storage_dir.with_name("elsewhere"))

    answer = client.get("/backend/health", headers=headers)

    assert answer.status_code == 503 and answer.json == {"status": "failing"}


def test_strangers_hear_one_word(client, settings):
    token = stored_tokens(settings).create("anna")

    assert client.get("/backend/health").json == {"status": "degraded"}
    assert client.get("/backend/health", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).json == {"status": "degraded"}
    assert "queues" in client.get("/backend/health", headers={"Authorization": f"Bearer {token}"}).json
    assert_error(client.get("/metrics"), 401)


def test_prometheus_gets_its_numbers(client, training):
    client.get("/backend/projects/1")
    client.get("/backend/projects/2")
    client.get("/backend/nothing-at-all")
    client.open("/backend/projects", method="FOO")

    answer = client.get("/metrics")

    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    rule = 'method="GET",rule="/backend/projects/<id:project_id>"'
    assert f'dht_requests_total{{{rule},status="200"}} 1.0' in lines
    assert f'dht_requests_total{{{rule},status="404"}} 1.0' in lines
    assert f"dht_request_seconds_count{{{rule}}} 2.0" in lines
    assert 'dht_jobs{queue="training",state="waiting"} 1.0' in lines and "dht_redis_up 1.0" in lines
    assert 'dht_requests_total{method="other",rule="none",status="405"} 1.0' in lines
    assert "nothing-at-all" not in answer.text and "FOO" not in answer.text
    assert float(next(line.split()[1] for line in lines if line.startswith("dht_disk_free_bytes"))) > 0


def test_without_the_extra_the_answer_says_how_to_get_it(client, monkeypatch):
    monkeypatch.setattr(measurements, "HAS_PROMETHEUS", False)
    answer = client.get("/metrics")
    assert_error(answer, 501)
    assert "pip install" in answer.json["message"]


def test_a_training_for_gpus_waits_for_them_where_a_worker_has_some(client, settings, project, dataset):
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"]}
    with Redis.from_url(settings.redis_url) as redis:
        redis.sadd("rq:workers:training-gpu", "rq:worker:gone")
        redis.set("rq:worker:gone", "here")
        for devices in ("GPU", "Auto"):
            properties = [{"name": "Devices", "value": devices}]
            assert client.post("/backend/train", json=body | {"properties": properties}).status_code == 201
        redis.delete("rq:worker:gone")

    answer = client.get("/backend/health").json

    waiting = {queue["name"]: queue["waiting"] for queue in answer["queues"]}
    assert (waiting["training"], waiting["training-gpu"]) == (1, 1)
    assert any("worker.py training-gpu" in problem for problem in answer["problems"])
