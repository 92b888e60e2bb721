"""What a worker does and says while Redis is away."""

import logging
import time

from redis import Redis
from redis.exceptions import RedisError

from app.errors import ConfigurationError
from app.jobs.redis_faults import redis_fault

WAIT_SECONDS = 30.0
SECONDS_BETWEEN_TRIES = 0.2


def wait_for_redis(connection: Redis, url: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until Redis answers.

    Raises:
        ConfigurationError: if it does not in time, naming the URL as given here.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.ping()
            return
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise ConfigurationError(redis_fault(error, f"Redis at {url}")) from error
            time.sleep(SECONDS_BETWEEN_TRIES)


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether what RQ logs says more than that Redis is away, which the worker tells in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, RedisError | OSError)
