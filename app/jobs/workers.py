"""RQ workers as this service wants them: frameworks imported before the fork, work-horses that never outlive a stop."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import ConfigurationError
from app.jobs import same_storage
from app.jobs.lifecycle import MEMORY_ADVICE
from app.jobs.queue import QUEUE_NAMES, connect
from app.jobs.trusted_job import TrustedJob
from app.runs.layout import StorageLayout
from app.runs.reader import read_config
from app.runs.state import FAILED
from app.runs.writer import write_final_state
from app.settings import Settings

WAIT_FOR_REDIS_SECONDS = 30.0
WAIT_AGAIN_SECONDS = 600.0
MAINTENANCE_SECONDS = 30

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}

KILLED = "The job was killed (signal 9): most likely the machine ran out of memory; "


class JobWorker(Worker):
    """A forking worker that tells its work-horse of a shutdown, so that the job can save and close its state.

    It says what it does in one line for each beginning and end; RQ's own account of its housekeeping is left out.
    """

    is_asked_to_stop = False
    check_storage: Callable[[], None] | None = None
    refusal: ConfigurationError | None = None

    def request_stop(self, signum, frame):
        """Pass the stop on to the job, then leave as soon as it has ended."""
        self.is_asked_to_stop = True
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)
        super().request_stop(signum, frame)

    def execute_job(self, job, queue):
        """Run a job in a work-horse, with a line before and after.

        A stop is held back until there is a work-horse to be told of it: the job has left its queue, and would be lost.
        """
        self._make_sure_of_storage(job, queue)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        began = time.monotonic()
        _say(f"begins: {job.description} [{job.id}]")
        try:
            super().execute_job(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        _say(f"ended after {time.monotonic() - began:.1f} s: {job.description} [{job.id}]")

    def _make_sure_of_storage(self, job, queue):
        """Leave, and the job to others, where the storage folder is not that of the job, or not mounted any more."""
        try:
            if self.check_storage:
                self.check_storage()
        except ConfigurationError as error:
            self.refusal = error
            queue.push_job_id(job.id, at_front=True)
            queue.intermediate_queue.remove(job.id)
            raise StopRequested from error

    def monitor_work_horse(self, job, queue, execution):
        """Wait for the work-horse; from here on a stop reaches it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        super().monitor_work_horse(job, queue, execution)

    def handle_exception(self, job, *exc_info):
        """Say the sentence of a failed job; its log has the traceback, and that is the place for it."""
        _say(f"failed: {job.description} [{job.id}]: {exc_info[1]}")

    def maintain_heartbeats(self, job, execution):
        """Tell Redis that the job lives; the job itself needs no Redis, and outlives one that is away."""
        with suppress(RedisError, OSError):
            super().maintain_heartbeats(job, execution)


def run_worker(names: Sequence[str], settings: Settings) -> None:
    """Serve the queues until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: for an unknown queue, a storage folder that is not that of the jobs, or when Redis does not
            answer within half a minute.
    """
    unknown = [name for name in names if name not in QUEUE_NAMES]
    if unknown or not names:
        raise ConfigurationError(f"There is no queue {unknown or ''}; name one or more of {', '.join(QUEUE_NAMES)}.")
    connection = connect(settings.queue_url)
    wait_for_redis(connection, settings.shown_queue_url)
    same_storage.check(connection, settings, same_storage.WAIT_SECONDS)
    _preload()
    _say(f"listening on {', '.join(names)}")
    with suppress(StopRequested):
        while not _work(names, connection, settings):
            _say("Redis does not answer; waiting for it")
            wait_for_redis(connection, settings.shown_queue_url, WAIT_AGAIN_SECONDS)
    _say("stopped")


def _work(names: Sequence[str], connection: Redis, settings: Settings) -> bool:
    """Serve the queues until somebody asks to stop; return False when Redis went away."""
    worker = open_worker(names, connection, settings)
    try:
        worker.work(logging_level="WARNING")
    except (RedisError, OSError):
        return worker.is_asked_to_stop
    if worker.refusal:
        raise worker.refusal
    return worker.is_asked_to_stop


def open_worker(names: Sequence[str], connection: Redis, settings: Settings) -> JobWorker:
    """Return a worker that does not work yet."""
    queues = [Queue(name, connection=connection, serializer=JSONSerializer, job_class=TrustedJob) for name in names]
    worker = JobWorker(
        queues,
        connection=connection,
        serializer=JSONSerializer,
        job_class=TrustedJob,
        work_horse_killed_handler=_close_killed(StorageLayout(settings.storage_dir)),
        maintenance_interval=MAINTENANCE_SECONDS,
        default_worker_ttl=60,
    )
    worker.check_storage = partial(same_storage.check, connection, settings)
    return worker


def _say(text: str) -> None:
    print(text, flush=True)


def wait_for_redis(connection: Redis, url: str, seconds: float = WAIT_FOR_REDIS_SECONDS) -> None:
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
                raise ConfigurationError(f"Redis does not answer at {url}; start it or correct REDIS_URL.") from error
            time.sleep(0.2)


def _preload() -> None:
    """Import what every job imports, and run none of it.

    A forked child inherits the modules and saves the seconds of importing; but a parent that has run one parallel
    operation leaves its children a thread pool without threads, in which they hang for ever.
    """
    import app.engines.torch_engine.engine
    import app.jobs.dataset_check
    import app.jobs.inference
    import app.jobs.training  # noqa: F401


def _close_killed(storage: StorageLayout):
    """Write the final state of a job whose work-horse was killed before it could do so itself."""

    def close(job: Job, horse_pid: int, status: int, usage) -> None:
        run = storage.run(job.id)
        config = read_config(run) if run else None
        if run is None or config is None:
            return
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        reason = f"The job's process died unexpectedly (signal or exit status {number or status})."
        if number == signal.SIGKILL:
            reason = f"{KILLED}{MEMORY_ADVICE[config['type']]}, then start it again."
        write_final_state(run, FAILED, f"Failed: {reason}", reason)

    return close
