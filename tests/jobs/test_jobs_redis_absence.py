"""What a worker says of a Redis that is away, or that answers and does no work."""

import logging

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.errors import ConfigurationError, QueueUnavailable
from app.jobs.queue import JobQueue, connect
from app.jobs.worker.redis_absence import is_news, wait_for_redis
from app.jobs.worker.serving import run_worker
from app.runs.identity import make_identity
from app.settings import Settings


@pytest.fixture
def as_user(redis_url):
    """The URL of Redis for a user who may do this alone."""
    with Redis.from_url(redis_url) as connection:

        def make(name, *rights):
            connection.execute_command("ACL", "SETUSER", name, "reset", "on", ">right", *rights)
            return lambda password: f"unix://{name}:{password}@{redis_url.removeprefix('unix://')}"

        yield make
        connection.execute_command("ACL", "DELUSER", "idle")


def test_a_wrong_password_is_told_as_such_to_whoever_starts_a_worker_or_sends_a_job(as_user):
    url = as_user("idle")("wrong")

    with pytest.raises(ConfigurationError, match="Redis at here refuses the user or the password") as told:
        wait_for_redis(connect(url), "here", seconds=0)
    with pytest.raises(QueueUnavailable, match=r"Redis refuses .* Then send the request again\.$"):
        JobQueue(url).check()

    assert "wrong" not in str(told.value)


def test_a_user_of_redis_without_rights_ends_the_worker_with_a_sentence(as_user, settings):
    settings.storage_dir.mkdir()
    make_identity(settings.storage_dir)
    may_not_ask = as_user("idle")("right")
    with pytest.raises(ConfigurationError, match=r"refuses a command to the user of REDIS_URL \(.*'ping'.*\); allow"):
        wait_for_redis(connect(may_not_ask), "here", seconds=0)

    may_not_work = as_user("idle", "~*", "+ping", "+get", "+client", "+hello")("right")
    with pytest.raises(ConfigurationError, match=r"refuses a command to the user of REDIS_URL \(.*\); allow"):
        run_worker(["training"], Settings(**vars(settings) | {"redis_url": may_not_work}))


@pytest.mark.parametrize("option", ["foo=hunter2", "socket_timeout=hunter2", "protocol=9"])
def test_options_in_the_url_that_cannot_be_used_are_refused_and_not_shown(option):
    with pytest.raises(ConfigurationError, match="REDIS_URL has options") as told:
        connect(f"redis://127.0.0.1:1/0?{option}")
    assert "hunter2" not in str(told.value)


def test_a_file_of_certificates_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"The file /nowhere/ca\.pem, in REDIS_URL as ssl_ca_certs, cannot"):
        connect("rediss://127.0.0.1:1/0?ssl_ca_certs=/nowhere/ca.pem")


@pytest.mark.parametrize(("error", "expected"), [(RedisConnectionError("gone"), False), (KeyError("fault"), True)])
def test_the_traceback_of_a_lost_connection_is_no_news(error, expected):
    record = logging.makeLogRecord({"msg": "found an unhandled exception", "exc_info": (type(error), error, None)})
    assert is_news(record) is expected
    assert is_news(logging.makeLogRecord({"msg": "no exception at all"}))
