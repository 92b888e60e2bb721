"""What Redis knows of a worker that lives, whatever is done to Redis and to clocks."""

import socket
import time
from dataclasses import replace

import pytest

from app.errors import ConfigurationError
from app.jobs.redis_probe import RedisProbe
from app.jobs.worker.serving import _serve, run_worker
from app.jobs.worker.workers import FORGOTTEN_SECONDS, open_worker

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"


@pytest.fixture
def worker(settings):
    worker = open_worker(["inference"], settings)
    worker.register_birth()
    worker.set_state("busy")
    yield worker
    worker.register_death()


def seen(settings):
    answer, _ = RedisProbe(settings.queue_url).ask()
    return [(shown["queues"], shown["state"]) for shown in answer["workers"]]


@pytest.mark.parametrize(
    "forget",
    [
        pytest.param(lambda redis, key: redis.delete(key), id="its time to live is over, as when a clock is set"),
        pytest.param(lambda redis, key: (redis.delete(key), redis.srem("rq:workers", key)), id="and RQ has tidied up"),
        pytest.param(lambda redis, _: redis.flushall(), id="somebody has emptied Redis"),
    ],
)
def test_a_worker_that_redis_has_forgotten_is_known_again_with_its_next_heartbeat(worker, settings, forget):
    forget(worker.connection, worker.key)
    assert seen(settings) == []

    worker.heartbeat()

    assert seen(settings) == [(["inference"], "busy")]


def test_redis_itself_counts_how_long_a_worker_is_silent(worker):
    with worker.connection.pipeline() as pipeline:
        worker.heartbeat(600, pipeline=pipeline)
        pipeline.execute()

    assert 0 < worker.connection.ttl(worker.key) <= FORGOTTEN_SECONDS


def test_what_a_worker_works_on_is_told(worker, settings):
    queue = worker.queues[0]
    job = queue.enqueue("app.jobs.inference.job.run", job_id=PROCESS_ID)

    worker.prepare_execution(job)

    answer, _ = RedisProbe(settings.queue_url).ask()
    assert [shown["process_id"] for shown in answer["workers"]] == [PROCESS_ID]


def test_a_worker_listens_to_no_commands_in_redis(worker, settings):
    worker.register_death()
    worker.bootstrap("WARNING")

    assert worker.connection.publish(worker.pubsub_channel_name, '{"command": "shutdown"}') == 0


def test_waiting_for_a_job_is_no_failure_of_redis(worker):
    used = worker.connection.connection_pool.get_connection()
    worker.connection.connection_pool.release(used)

    assert used.socket_timeout > worker.dequeue_timeout


@pytest.mark.parametrize(("hours", "status"), [(1, "started"), (48, "failed")])
def test_a_job_of_a_machine_whose_clock_is_behind_is_not_taken_for_lost(worker, hours, status):
    queue = worker.queues[0]
    job = queue.enqueue("app.jobs.inference.job.run", job_id=PROCESS_ID)
    job.set_status("started")
    worker.connection.zadd(queue.started_job_registry.key, {f"{PROCESS_ID}:1": time.time() - hours * 3600})

    worker.clean_registries()

    assert job.get_status() == status


def test_a_redis_that_hangs_while_a_worker_begins_is_waited_for(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = replace(settings, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")

        assert _serve(["inference"], hanging).endswith("Waiting for it")


@pytest.mark.parametrize(("names", "fault"), [([], "No queue is named"), (["trainin"], "There is no queue 'trainin'")])
def test_a_worker_without_a_queue_of_ours_says_which_there_are(settings, names, fault):
    with pytest.raises(ConfigurationError, match=f"^{fault}; name one or more of training, training-gpu, inference"):
        run_worker(names, settings)
