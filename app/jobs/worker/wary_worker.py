"""RQ's worker in a Redis that others write to as well, from machines whose clocks differ."""

import time

from redis import exceptions as redis_exceptions
from rq import Worker
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.utils import now
from rq.worker_registration import clean_worker_registry

from app.jobs.worker.saying import say
from app.jobs.worker.trusted_job import TrustedJob

MOST_CLOCKS_DIFFER = 24 * 3600  # seconds; the service itself goes by no clock, but RQ notes times


class WaryWorker(Worker):
    """A worker that obeys nobody in Redis, and does not end for what it cannot read there."""

    def subscribe(self):
        """Listen to no commands in Redis: whoever writes there could end the worker, and nobody of ours gives any."""

    def dequeue_job_and_maintain_ttl(self, timeout, max_idle_time=None):
        """Wait for a job; what somebody else has laid into the queue and nobody can read is dropped."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except Exception as error:
                if not (isinstance(error, UnicodeDecodeError) or hasattr(error, "job_id")):
                    raise
                self._drop_unreadable(getattr(error, "job_id", None), error)

    def _drop_unreadable(self, job_id: str | None, error: Exception) -> None:
        for queue in self.queues if job_id else ():
            self.connection.delete(self.job_class.key_for(job_id))
            queue.intermediate_queue.remove(job_id)
        fault = f"{str(job_id)[:100]!r} in Redis is no job that can be read ({type(error).__name__})"
        say(f"left out: {fault}; somebody else writes there")

    def clean_registries(self):
        """Tidy up as RQ does, but take no job for lost because another machine's clock is behind this one's."""
        for queue in self.queues:
            if queue.acquire_maintenance_lock():
                FinishedJobRegistry(queue=queue, job_class=TrustedJob).cleanup()
                FailedJobRegistry(queue=queue, job_class=TrustedJob).cleanup()
                started = StartedJobRegistry(queue=queue, job_class=TrustedJob)
                started.cleanup(time.time() - MOST_CLOCKS_DIFFER)
                clean_worker_registry(queue)
                queue.intermediate_queue.cleanup(self, queue)
                queue.release_maintenance_lock()
        self.last_cleaned_at = now()

    def run_maintenance_tasks(self):
        """Tidy up as RQ does, which is no reason to end for what somebody else has laid there."""
        try:
            super().run_maintenance_tasks()
        except (redis_exceptions.ConnectionError, redis_exceptions.TimeoutError):
            raise
        except Exception as error:
            self.last_cleaned_at = now()
            say(f"Redis holds what RQ cannot tidy up ({type(error).__name__}: {error}); somebody else writes there")
