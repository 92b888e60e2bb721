import os
from datetime import UTC, datetime, timedelta

import pytest

from app.jobs.processes.presence import listening_queues
from app.jobs.queue import connect
from app.jobs.worker.workers import open_worker


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_a_worker_is_there_however_the_clock_was_set_since_it_began(settings, hours):
    with connect(settings.queue_url) as connection:
        worker = open_worker(["inference"], settings)
        worker.register_birth()
        birth = datetime.now(UTC) + timedelta(hours=hours)
        connection.hset(worker.key, "birth", birth.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    assert listening_queues(settings.queue_url, [os.getpid()]) == {"inference"}
    assert listening_queues(settings.queue_url, [os.getppid()]) == set()  # one of an earlier start
