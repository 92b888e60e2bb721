"""What Redis knows of a worker that lives, whatever is done to Redis and to clocks."""

import pytest

from app.jobs.queue import connect
from app.jobs.redis_probe import RedisProbe
from app.jobs.worker.workers import FORGOTTEN_SECONDS, open_worker


@pytest.fixture
def worker(settings):
    worker = open_worker(["inference"], connect(settings.queue_url), settings)
    worker.register_birth()
    worker.set_state("busy")
    yield worker
    worker.register_death()


def seen(settings):
    return [(shown["queues"], shown["state"]) for shown in RedisProbe(settings.queue_url).ask()["workers"]]


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
