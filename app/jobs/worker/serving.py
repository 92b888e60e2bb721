"""Serve the queues: from the start of the program to its end, with a worker anew after each absence of Redis."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from redis.exceptions import NoPermissionError, RedisError
from rq.exceptions import StopRequested

from app.errors import ConfigurationError
from app.jobs import same_storage
from app.jobs.queue import QUEUE_NAMES, connect
from app.jobs.redis_faults import redis_fault
from app.jobs.worker.redis_absence import is_news, wait_for_redis
from app.jobs.worker.saying import say
from app.jobs.worker.workers import open_worker
from app.settings import Settings
from app.temporary import remove_left_folders

WAIT_AGAIN_SECONDS = 600.0
SECONDS_BEFORE_ANOTHER_TRY = 1.0  # what ended a worker may well end the next one


def run_worker(names: Sequence[str], settings: Settings) -> None:
    """Serve the queues until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: for an unknown queue, a storage folder that is not that of the jobs, or when Redis does not
            answer within half a minute.
    """
    unknown = [name for name in names if name not in QUEUE_NAMES]
    if unknown or not names:
        fault = f"There is no queue {unknown[0]!r}" if unknown else "No queue is named"
        raise ConfigurationError(f"{fault}; name one or more of {', '.join(QUEUE_NAMES)}.")
    connection = connect(settings.queue_url)
    wait_for_redis(connection, settings.shown_queue_url)
    logging.getLogger("rq.worker").addFilter(is_news)
    remove_left_folders()
    try:
        same_storage.check(connection, settings, wait_seconds=same_storage.WAIT_SECONDS)
        _preload()
        say(f"listening on {', '.join(names)}")
        with suppress(StopRequested):
            while reason := _serve(names, settings):
                say(reason)
                wait_for_redis(connection, settings.shown_queue_url, WAIT_AGAIN_SECONDS)
    except NoPermissionError as error:
        raise ConfigurationError(redis_fault(error, f"Redis at {settings.shown_queue_url}")) from error
    say("stopped")


def _serve(names: Sequence[str], settings: Settings) -> str | None:
    """Serve the queues until somebody asks to stop; return why it came to an end otherwise.

    Raises:
        NoPermissionError: when the user of Redis may not do what a worker does; waiting changes nothing.
    """
    worker = None
    reason = "The worker begins anew after what is told above"
    try:
        worker = open_worker(names, settings)
        worker.work(logging_level="WARNING")
    except NoPermissionError:
        raise
    except (RedisError, OSError) as error:
        reason = f"{redis_fault(error, f'Redis at {settings.shown_queue_url}')} Waiting for it"
    finally:
        if worker:
            worker.dismiss_horse()
    if worker is None:
        return reason
    if worker.refusal:
        raise worker.refusal
    if worker.is_asked_to_stop:
        return None
    time.sleep(SECONDS_BEFORE_ANOTHER_TRY)
    return reason


def _preload() -> None:
    """Import what every job imports, and run none of it.

    A forked child inherits the modules and saves the seconds of importing; but a parent that has run one parallel
    operation leaves its children a thread pool without threads, in which they hang for ever.
    """
    import app.engines.torch_engine.engine
    import app.jobs.datasets.job
    import app.jobs.inference.job
    import app.jobs.training.job  # noqa: F401
