"""What a worker does and says while Redis is away."""

import logging
import time

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from app.errors import ConfigurationError

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
                raise ConfigurationError(_fault(url, error)) from error
            time.sleep(SECONDS_BETWEEN_TRIES)


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether what RQ logs says more than that Redis is away, which the worker tells in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, RedisError | OSError)


def _fault(url: str, error: Exception) -> str:
    if isinstance(error, ResponseError):  # it answers everything so while its disk is full
        return f"Redis at {url} accepts no jobs: {error}"
    return f"Redis does not answer at {url}; start it or correct REDIS_URL."
