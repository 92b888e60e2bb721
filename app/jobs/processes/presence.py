"""Which queues have a worker that listens."""

import socket
from collections.abc import Collection

from redis.exceptions import RedisError
from rq import Worker

from app.jobs.queue import connect


def listening_queues(url: str, pids: Collection[int]) -> set[str]:
    """Name the queues that these processes of this machine listen on as workers; none while Redis does not answer.

    Redis may still know the workers of an earlier start. When they began does not tell them apart: the clock may have
    been set since.
    """
    with connect(url) as connection:
        try:
            workers = Worker.all(connection=connection)
        except RedisError:
            return set()
    host = socket.gethostname()
    return {
        name for worker in workers if worker.hostname == host and worker.pid in pids for name in worker.queue_names()
    }
