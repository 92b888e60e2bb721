"""Jobs in Redis, by RQ: enqueued by dotted name with the process id as job id, serialised as JSON."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps

from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import QueueUnavailable
from app.jobs import same_storage

TRAINING = "training"
INFERENCE = "inference"
CHECK = "check"
FUNCTIONS = {
    TRAINING: "app.jobs.training.run",
    INFERENCE: "app.jobs.inference.run",
    CHECK: "app.jobs.dataset_check.run",
}
# A check waits where the short jobs wait, not behind a training of two days.
QUEUES = {TRAINING: "training", INFERENCE: "inference", CHECK: "inference"}
QUEUE_NAMES = tuple(dict.fromkeys(QUEUES.values()))

CONNECT_SECONDS = 3
ANSWER_SECONDS = 3
SECONDS_OF_A_HANG = 5.0
RESULT_SECONDS = 24 * 3600
FAILURE_SECONDS = 7 * 24 * 3600


def _reaching_redis(function: Callable) -> Callable:
    """Tell that Redis is away; one that hangs is not waited for by every request anew."""

    @wraps(function)
    def reaching(queue: "JobQueue", *arguments, **keywords):
        try:
            if time.monotonic() < queue.hangs_until:
                raise TimeoutError
            return function(queue, *arguments, **keywords)
        except (RedisError, OSError) as error:
            if isinstance(error, RedisTimeoutError):
                queue.hangs_until = time.monotonic() + SECONDS_OF_A_HANG
            raise QueueUnavailable(
                "The job queue (Redis) cannot be reached; "
                "start Redis or correct REDIS_URL, then send the request again."
            ) from error

    return reaching


def connect(url: str) -> Redis:
    """Return a connection with time limits; nothing is sent yet."""
    return Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS)


class JobQueue:
    """The queues, by the kind of the job. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, url: str):
        self._connection = connect(url)
        self.hangs_until = 0.0

    @_reaching_redis
    def check(self) -> None:
        """Make sure that Redis answers."""
        self._connection.ping()

    @_reaching_redis
    def claim(self, storage_id: str) -> None:
        """Note in which storage folder the jobs of this Redis belong."""
        same_storage.claim(self._connection, storage_id)

    @_reaching_redis
    def enqueue(self, name: str, process_id: str, description: str, *, at_front: bool = False) -> None:
        """Queue the job of a process, with a description that a person understands in `rq info`.

        What Redis still holds of it from a worker that died is forgotten.
        """
        self._forget(name, process_id)
        self._queue(name).enqueue(
            FUNCTIONS[name],
            process_id,
            job_id=process_id,
            description=description,
            job_timeout=-1,
            result_ttl=RESULT_SECONDS,
            failure_ttl=FAILURE_SECONDS,
            at_front=at_front,
        )

    @_reaching_redis
    def withdraw(self, name: str, process_id: str) -> bool:
        """Take a waiting job off its queue; tell whether it was still there, so no worker will run it."""
        is_waiting = self._connection.lrem(self._queue(name).key, 0, process_id) > 0
        if is_waiting:
            self._forget(name, process_id)
        return is_waiting

    @_reaching_redis
    def waiting(self) -> set[str]:
        """Return the process ids of all jobs that wait."""
        return {process_id for name in QUEUES for process_id in self._queue(name).get_job_ids()}

    @_reaching_redis
    def position(self, name: str, process_id: str) -> int | None:
        """Return the place in the queue, 1 for the next one; None for a job that does not wait."""
        position = self._connection.lpos(self._queue(name).key, process_id)
        return position + 1 if isinstance(position, int) else None

    def _forget(self, name: str, process_id: str) -> None:
        """Remove what RQ knows of a job, executions included: a later clean-up would fail the job for those."""
        queue = self._queue(name)
        registry = queue.started_job_registry
        for job_id, execution_id in registry.get_job_and_execution_ids(cleanup=False):
            if job_id == process_id:
                self._connection.zrem(registry.key, f"{job_id}:{execution_id}")
        self._connection.lrem(queue.intermediate_queue_key, 0, process_id)
        with suppress(NoSuchJobError):
            self._job(process_id).delete()

    def _queue(self, name: str) -> Queue:
        return Queue(QUEUES[name], connection=self._connection, serializer=JSONSerializer)

    def _job(self, process_id: str) -> Job:
        return Job.fetch(process_id, connection=self._connection, serializer=JSONSerializer)
