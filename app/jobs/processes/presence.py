"""Which queues have a worker that listens."""

from datetime import datetime

from redis.exceptions import RedisError
from rq import Worker

from app.jobs.queue import connect


def listening_queues(url: str, since: datetime) -> set[str]:
    """Name the queues that a worker started after this moment listens on; none while Redis does not answer."""
    with connect(url) as connection:
        try:
            workers = Worker.all(connection=connection)
        except RedisError:
            return set()
    return {
        name for worker in workers if worker.birth_date and worker.birth_date > since for name in worker.queue_names()
    }
