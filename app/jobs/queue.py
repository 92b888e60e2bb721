"""Jobs in Redis, by RQ: enqueued by dotted name with the process id as job id, serialised as JSON."""

import os
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import ConfigurationError, QueueUnavailable
from app.jobs import same_storage
from app.jobs.redis_faults import redis_fault

TRAINING = "training"
INFERENCE = "inference"
CHECK = "check"
FUNCTIONS = {
    TRAINING: "app.jobs.training.job.run",
    INFERENCE: "app.jobs.inference.job.run",
    CHECK: "app.jobs.datasets.job.run",
}
# A check waits where the short jobs wait, not behind a training of two days.
QUEUES = {TRAINING: ("training", "training-gpu"), INFERENCE: ("inference",), CHECK: ("inference",)}
QUEUE_NAMES = tuple(dict.fromkeys(name for names in QUEUES.values() for name in names))

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
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
            raise QueueUnavailable(f"{redis_fault(error)} Then send the request again.") from error

    return reaching


def connect(url: str, *, connect_seconds: float = CONNECT_SECONDS, answer_seconds: float = ANSWER_SECONDS) -> Redis:
    """Return a connection with time limits; nothing is sent yet.

    Raises:
        ConfigurationError: for options in the URL that cannot be used; neither they nor a password are shown.
    """
    try:
        redis = Redis.from_url(url, socket_connect_timeout=connect_seconds, socket_timeout=answer_seconds)
        pool = redis.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # it alone knows its options; it connects later
    except (TypeError, ValueError, RedisError) as error:
        raise ConfigurationError(
            "REDIS_URL has options after its ? that cannot be used; those of redis-py are expected, "
            "such as ssl_ca_certs=FILE, and a ? in the password is written as %3F."
        ) from error
    for option in TLS_FILES:
        file = pool.connection_kwargs.get(option)
        if file and not os.access(file, os.R_OK):
            raise ConfigurationError(f"The file {file}, in REDIS_URL as {option}, cannot be read; correct its path.")
    return redis


def wants_gpu(run_config: Mapping) -> bool:
    """Tell whether a process asks for GPUs, and not for what there is."""
    return "gpu" in run_config.get("training", {}).get("devices", "")


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
    def enqueue(
        self, name: str, process_id: str, description: str, *, at_front: bool = False, wants_gpu: bool = False
    ) -> None:
        """Queue the job of a process, with a description that a person understands in `rq info`.

        One that wants GPUs waits for the workers that serve these, if there are any. What Redis still holds of the job
        from a worker that died is forgotten.
        """
        self._forget(name, process_id)
        self._fitting_queue(name, wants_gpu).enqueue(
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
        is_waiting = sum(self._connection.lrem(queue.key, 0, process_id) for queue in self._queues(name)) > 0
        if is_waiting:
            self._forget(name, process_id)
        return is_waiting

    @_reaching_redis
    def waiting(self) -> set[str]:
        """Return the process ids of all jobs that wait."""
        return {process_id for name in QUEUE_NAMES for process_id in self._waiting_in(name)}

    @_reaching_redis
    def position(self, name: str, process_id: str) -> int | None:
        """Return the place in the queue, 1 for the next one; None for a job that does not wait."""
        positions = [self._connection.lpos(queue.key, process_id) for queue in self._queues(name)]
        return next((position + 1 for position in positions if isinstance(position, int)), None)

    def _waiting_in(self, name: str) -> set[str]:
        """Return the jobs of a queue, and take out what is no text: RQ's workers end when they meet it."""
        connection: Any = self._connection
        queue = Queue(name, connection=connection, serializer=JSONSerializer)
        for key in (queue.key, queue.intermediate_queue_key):
            for job_id in connection.lrange(key, 0, -1):
                if not _is_text(job_id):
                    connection.lrem(key, 0, job_id)
        return set(queue.get_job_ids())

    def _forget(self, name: str, process_id: str) -> None:
        """Remove what RQ knows of a job, executions included: a later clean-up would fail the job for those."""
        connection: Any = self._connection
        for queue in self._queues(name):
            started = queue.started_job_registry.key
            for execution in connection.zrange(started, 0, -1):  # as bytes: somebody else may have written some of them
                if execution.startswith(f"{process_id}:".encode()):
                    connection.zrem(started, execution)
            connection.lrem(queue.intermediate_queue_key, 0, process_id)
        try:
            self._job(process_id).delete()
        except NoSuchJobError:
            pass
        except (RedisConnectionError, RedisTimeoutError):
            raise
        except Exception:  # somebody else has written something there that is no job
            self._connection.delete(Job.key_for(process_id))

    def _queues(self, name: str) -> list[Queue]:
        """Return the queues in which a job of this kind may wait, the ordinary one first."""
        return [Queue(queue, connection=self._connection, serializer=JSONSerializer) for queue in QUEUES[name]]

    def _fitting_queue(self, name: str, wants_gpu: bool) -> Queue:
        ordinary, *others = self._queues(name)
        return next((queue for queue in others if wants_gpu and self._is_served(queue)), ordinary)

    def _is_served(self, queue: Queue) -> bool:
        """Tell whether a worker serves the queue; one that was killed is forgotten after half a minute."""
        keys = self._connection.smembers(f"rq:workers:{queue.name}")
        return bool(keys) and bool(self._connection.exists(*keys))

    def _job(self, process_id: str) -> Job:
        return Job.fetch(process_id, connection=self._connection, serializer=JSONSerializer)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
