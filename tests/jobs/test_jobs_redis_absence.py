"""What a worker says of a Redis that is away, or that answers and does no work."""

import logging

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.errors import ConfigurationError
from app.jobs.worker.redis_absence import is_news, wait_for_redis


def test_a_redis_that_answers_with_a_refusal_is_told_by_its_own_words(redis_url):
    with Redis.from_url(redis_url) as connection:
        connection.execute_command("ACL", "SETUSER", "idle", "on", "nopass", "+client", "+hello")
    with (
        Redis.from_url(redis_url, username="idle", password="any") as idle,
        pytest.raises(ConfigurationError, match=r"Redis at here accepts no jobs: .*permissions"),
    ):
        wait_for_redis(idle, "here", seconds=0)


@pytest.mark.parametrize(("error", "expected"), [(RedisConnectionError("gone"), False), (KeyError("fault"), True)])
def test_the_traceback_of_a_lost_connection_is_no_news(error, expected):
    record = logging.makeLogRecord({"msg": "found an unhandled exception", "exc_info": (type(error), error, None)})
    assert is_news(record) is expected
    assert is_news(logging.makeLogRecord({"msg": "no exception at all"}))
