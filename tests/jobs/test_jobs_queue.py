import socket

import pytest

from app.errors import QueueUnavailable
from app.jobs.queue import JobQueue

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
