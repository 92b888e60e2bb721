import socket

import pytest
from redis import Redis

from app.errors import QueueUnavailable
from app.jobs.queue import JobQueue, wants_gpu

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"


def test_a_job_waits_in_its_place_and_can_be_withdrawn_once(redis_url):
    queue = JobQueue(redis_url)
    queue.enqueue("training", PROCESS_ID, "train LeNet")

    assert queue.position("training", PROCESS_ID) == 1
    assert queue.waiting() == {PROCESS_ID}
    assert queue.withdraw("training", PROCESS_ID)
    assert not queue.withdraw("training", PROCESS_ID)
    assert queue.position("training", PROCESS_ID) is None
    assert queue.waiting() == set()


def test_a_redis_that_is_not_there_is_told_at_once():
    with pytest.raises(QueueUnavailable, match="Redis"):
        JobQueue("redis://127.0.0.1:1/0").check()


def test_a_redis_that_hangs_is_waited_for_once_and_not_by_every_request():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        queue = JobQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        with pytest.raises(QueueUnavailable):
            queue.check()
        tried = 0
        while True:
            try:
                silent.accept()
                tried += 1
            except BlockingIOError:
                break
        with pytest.raises(QueueUnavailable):
            queue.check()
        with pytest.raises(BlockingIOError):
            silent.accept()

    assert tried >= 1


def test_who_wants_gpus_waits_for_the_workers_that_serve_them_if_there_are_any(redis_url):
    queue = JobQueue(redis_url)
    first, second, third = (PROCESS_ID.replace("6", digit) for digit in "789")

    def waiting(name):
        with Redis.from_url(redis_url) as redis:
            return [key.decode() for key in redis.lrange(f"rq:queue:{name}", 0, -1)]

    queue.enqueue("training", first, "nobody has GPUs", wants_gpu=True)
    with Redis.from_url(redis_url) as redis:
        redis.sadd("rq:workers:training-gpu", "rq:worker:killed", "rq:worker:a")
        redis.hset("rq:worker:a", "queues", "training-gpu,training")
    queue.enqueue("training", second, "one has", wants_gpu=True)
    queue.enqueue("training", third, "this one needs none")

    assert (waiting("training"), waiting("training-gpu")) == ([first, third], [second])
    assert queue.waiting() == {first, second, third}
    assert [queue.position("training", one) for one in (first, second, third)] == [1, 1, 2]
    assert queue.withdraw("training", second) and not queue.withdraw("training", second)
    assert queue.position("training", second) is None


@pytest.mark.parametrize(
    ("devices", "is_gpu"), [("auto", False), ("cpu", False), ("gpu", True), ("two_gpus", True), ("four_gpus", True)]
)
def test_only_gpus_asked_for_by_name_are_wanted(devices, is_gpu):
    assert wants_gpu({"type": "training", "training": {"devices": devices}}) == is_gpu
    assert not wants_gpu({"type": "inference"})
