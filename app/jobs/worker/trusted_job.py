"""Jobs as a worker takes them from Redis: whoever can write there can queue our work, and nothing else."""

from redis import Redis
from rq import serializers
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import JobFailure
from app.jobs.queue import FUNCTIONS

# RQ unpickles wherever one of its own parts was given no serializer.
serializers.PickleSerializer = JSONSerializer


class TrustedJob(Job):
    """A job that runs one of the service's own functions.

    RQ imports and calls whatever dotted names it finds in Redis: of the function and of its callbacks. With those, and
    with pickled content, to reach Redis would be to run any program as the user of the worker.
    """

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer=JSONSerializer):
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    @property
    def func(self):
        """Return the function; raise JobFailure unless it is in the table."""
        if self.instance is not None or self.func_name not in FUNCTIONS.values():
            raise JobFailure(
                f"This worker does not run {str(self.func_name)[:100]!r}; "
                f"it runs {', '.join(FUNCTIONS.values())}, and somebody else writes to its Redis."
            )
        return super().func

    @property
    def success_callback(self):
        """Return None: the service uses no callbacks."""

    failure_callback = stopped_callback = success_callback

    def send_webhooks(self, *_arguments, **_keywords):
        """Send nothing: the service uses no webhooks."""
