"""RQ workers as this service wants them: frameworks imported before the fork, work-horses that never outlive a stop."""

import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DeserializationError, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import ConfigurationError, ToolkitError
from app.jobs import same_storage
from app.jobs.queue import FUNCTIONS, INFERENCE, JobQueue, connect
from app.jobs.redis_probe import PID_SPACE_FIELD
from app.jobs.running_code import CODE_FIELD, running_code
from app.jobs.worker.deaths import memory_kills
from app.jobs.worker.kept_horse import KeptHorse
from app.jobs.worker.overdue import OverdueStops
from app.jobs.worker.recovery import Recovery
from app.jobs.worker.saying import say
from app.jobs.worker.trusted_job import TrustedJob
from app.jobs.worker.wary_worker import WaryWorker
from app.pids import pid_space
from app.runs.layout import StorageLayout
from app.settings import Settings

SWEEP_SECONDS = 3
# RQ waits for a job for 15 seconds less than this, and then looks around.
WORKER_TTL_SECONDS = 15 + SWEEP_SECONDS
# Redis counts these from the last sign of life, so that no clocks of two machines are compared.
FORGOTTEN_SECONDS = 30

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


class JobWorker(WaryWorker):
    """A forking worker that tells its work-horse of a shutdown, so that the job can save and close its state.

    It says what it does in one line for each beginning and end; RQ's own account of its housekeeping is left out. While
    it waits, and while a job runs, it looks for processes whose jobs died.

    Inferences are run one after another in a work-horse that stays, so that their networks are loaded once; a crash of
    it costs the one that ran. All other jobs have a work-horse each.
    """

    is_asked_to_stop = False
    refusal: ConfigurationError | None = None
    max_connection_wait_time = 2.0  # between two tries to reach Redis

    def __init__(
        self,
        *arguments,
        recovery: Recovery,
        stops: OverdueStops,
        check_storage: Callable[[str], None],
        **keywords,
    ):
        super().__init__(*arguments, **keywords)
        self._recovery = recovery
        self._stops = stops
        self._check_storage = check_storage
        self._swept_at = -math.inf
        self._told_faults: set[str] = set()
        self._memory_kills: int | None = None
        self._kept_horse: KeptHorse | None = None
        self._horse_at_work: KeptHorse | None = None

    def heartbeat(self, timeout=None, pipeline=None):
        """Say that the worker lives, and see whether all others do."""
        if not self.is_horse:
            self._sweep()
            self._make_known()
        super().heartbeat(FORGOTTEN_SECONDS, pipeline)

    def register_birth(self):
        """Make the worker known, which code it runs, and where."""
        super().register_birth()
        self.connection.hset(self.key, mapping={CODE_FIELD: running_code(), PID_SPACE_FIELD: pid_space() or ""})

    def _make_known(self) -> None:
        """Register with a Redis that has forgotten this worker: its clock was set, or the worker was suspended."""
        if self.connection.hexists(self.key, "queues"):
            return
        state = self.get_state()
        self.connection.delete(self.key)
        self.register_birth()
        self.set_state(state)

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        faults = self._recovery.sweep()
        for fault in faults:
            if fault not in self._told_faults:  # one that stays is told once, not every few seconds
                say(fault)
        self._told_faults = set(faults)
        self._swept_at = time.monotonic()

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
        self._memory_kills = memory_kills()
        began = time.monotonic()
        say(f"begins: {job.description} [{job.id}]")
        try:
            super().execute_job(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        say(f"ended after {time.monotonic() - began:.1f} s: {job.description} [{job.id}]")

    def _make_sure_of_storage(self, job, queue):
        """Leave, and the job to others, where the storage folder is not that of the job, or cannot be used any more."""
        try:
            self._check_storage(job.id)
        except ConfigurationError as error:
            self.refusal = error
            queue.push_job_id(job.id, at_front=True)
            queue.intermediate_queue.remove(job.id)
            raise StopRequested from error

    def fork_work_horse(self, job, queue):
        """Give an inference to the work-horse that stays, and any other job to one of its own."""
        if not _is_inference(job):
            self._horse_at_work = None
            super().fork_work_horse(job, queue)
            return
        order = {"job_id": job.id, "queue": queue.name, "execution_id": self.execution.id}
        if self._kept_horse is None or not self._kept_horse.begin(order):
            self._kept_horse = KeptHorse(self._perform_order)
            self._kept_horse.begin(order)
        self._horse_at_work = self._kept_horse
        self._horse_pid = self._kept_horse.pid

    def wait_for_horse(self):
        """Wait until the job has ended, be it with its work-horse or not; RQ may ask again for what it was told."""
        horse = self._horse_at_work
        if horse is None:
            return super().wait_for_horse()
        status, stays = horse.wait()
        if not stays:
            self._kept_horse = None
        return horse.pid, status, None

    def dismiss_horse(self) -> None:
        """Let the work-horse go that waits for another inference."""
        if self._kept_horse:
            self._kept_horse.dismiss()
            self._kept_horse = None

    def _perform_order(self, order: dict) -> bool:
        """Run a job in the work-horse that stays; one in which a job failed is replaced by a fresh one."""
        if not self.is_horse:
            self.setup_work_horse_signals()
            self._is_horse = True
        queue = next(queue for queue in self.queues if queue.name == order["queue"])
        job = self.job_class.fetch(order["job_id"], connection=self.connection, serializer=self.serializer)
        execution = Execution(order["execution_id"], job.id, self.connection, self.name)
        self.executions = {execution.id: execution}
        return self.perform_job(job, queue, execution)

    def monitor_work_horse(self, job, queue, execution):
        """Wait for the work-horse; from here on a stop reaches it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        super().monitor_work_horse(job, queue, execution)

    def handle_work_horse_killed(self, job, retpid, ret_val, rusage):
        """See to a job whose work-horse ended before it could close the run; nobody else knows why."""
        kills = memory_kills()
        is_for_memory = None if kills is None or self._memory_kills is None else kills > self._memory_kills
        try:
            self._recovery.close_dead(job.id, ret_val, is_for_memory)
        except ToolkitError as error:  # a full disk: a later sweep tries again
            say(error.message)

    def handle_exception(self, job, *exc_info):
        """Say the sentence of a failed job; its log has the traceback, and that is the place for it."""
        say(f"failed: {job.description} [{job.id}]: {exc_info[1]}")

    def maintain_heartbeats(self, job, execution):
        """Tell Redis that the job lives; the job itself needs no Redis, and outlives one that is away.

        It does not outlive a stop for long.
        """
        self._sweep()
        if self._stops.is_overdue(job.id):
            self.kill_horse(signal.SIGKILL)
        with suppress(RedisError, OSError):
            super().maintain_heartbeats(job, execution)


def open_worker(names: Sequence[str], settings: Settings) -> JobWorker:
    """Return a worker that does not work yet."""
    connection = connect(settings.queue_url)  # of its own: RQ gives those that are new more time, to wait for jobs
    queues = [Queue(name, connection=connection, serializer=JSONSerializer, job_class=TrustedJob) for name in names]
    jobs = JobQueue(settings.queue_url)
    storage = StorageLayout(settings.storage_dir)
    return JobWorker(
        queues,
        connection=connection,
        serializer=JSONSerializer,
        job_class=TrustedJob,
        job_monitoring_interval=SWEEP_SECONDS,
        worker_ttl=WORKER_TTL_SECONDS,
        recovery=Recovery(storage, jobs, settings.auto_resume_times),
        stops=OverdueStops(storage, settings.stop_grace_seconds),
        check_storage=partial(same_storage.check, connection, settings),
    )


def _is_inference(job: Job) -> bool:
    with suppress(DeserializationError):
        return job.func_name == FUNCTIONS[INFERENCE]
    return False
