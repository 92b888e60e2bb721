"""How much one client may ask for; counted in Redis, for all web workers together.

While Redis does not answer, nothing is counted and nobody is refused: the limits keep a mistake in a script from taking
the service away from others, and they do not take it away themselves.
"""

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from app.errors import TooManyRequests
from app.jobs.queue import QUEUE_NAMES, connect

ANSWER_SECONDS = 0.25
SECONDS_WITHOUT = 5.0
MINUTE = 60
DAY = 24 * 3600
RETRY_SECONDS = 60


class ClientLimits:
    """The limits of the settings; 0 stands for none.

    Args:
        url: of Redis.
        requests_per_minute: of one client.
        waiting_jobs: most trainings and inferences of one client that wait for a worker.
    """

    def __init__(self, url: str, requests_per_minute: int, waiting_jobs: int):
        self._redis = connect(url, connect_seconds=ANSWER_SECONDS, answer_seconds=ANSWER_SECONDS)
        self._requests_per_minute = requests_per_minute
        self._waiting_jobs = waiting_jobs
        self._off_until = 0.0

    def check_rate(self, client: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: if it is one too many in this minute.
        """
        if not self._requests_per_minute:
            return
        minute, second = divmod(int(time.time()), MINUTE)
        if (self._ask(lambda: self._count(f"dht:requests:{client}:{minute}")) or 0) > self._requests_per_minute:
            left = MINUTE - second
            raise TooManyRequests(
                f"This client sends more than {self._requests_per_minute} requests a minute (the setting RATE_LIMIT); "
                f"send the rest in {left} seconds.",
                left,
            )

    def check_waiting(self, client: str) -> None:
        """Make sure that the client may let one more job wait.

        Raises:
            TooManyRequests: if it may not.
        """
        if self._waiting_jobs and (self._ask(lambda: self._count_waiting(client)) or 0) >= self._waiting_jobs:
            raise TooManyRequests(
                f"{self._waiting_jobs} trainings and inferences of this client wait already, which is the most (the "
                "setting MAX_WAITING_JOBS); stop some, or send the request again when some of them have begun.",
                RETRY_SECONDS,
            )

    def note_job(self, client: str, process_id: str) -> None:
        """Remember whose job this is."""
        if self._waiting_jobs:
            self._ask(lambda: self._note(_jobs_key(client), process_id))

    def _count(self, key: str) -> int:
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * MINUTE)
            return pipeline.execute()[0]

    def _note(self, key: str, process_id: str) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.sadd(key, process_id)
            pipeline.expire(key, 30 * DAY)
            pipeline.execute()

    def _count_waiting(self, client: str) -> int:
        """Return how many of the waiting jobs are the client's; of short queues only how many there are."""
        keys = [f"rq:queue:{name}" for name in QUEUE_NAMES]
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.llen(key)
            total = sum(pipeline.execute())
        if total < self._waiting_jobs:
            return total
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.smembers(_jobs_key(client))
            for key in keys:
                pipeline.lrange(key, 0, -1)
            own, *waiting = pipeline.execute()
        still = own.intersection(*[[job for queue in waiting for job in queue]])
        if own - still:
            self._redis.srem(_jobs_key(client), *(own - still))
        return len(still)

    def _ask(self, question: Callable[[], int | None]) -> int | None:
        if time.monotonic() < self._off_until:
            return None
        try:
            return question()
        except (RedisError, OSError):
            self._off_until = time.monotonic() + SECONDS_WITHOUT
            return None


def _jobs_key(client: str) -> str:
    return f"dht:jobs:{client}"
