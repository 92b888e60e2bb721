"""Jobs that do not end though they were to stop long ago; the worker ends them, who looks at them from outside."""

import time
from collections.abc import Callable

from app.runs.layout import StorageLayout

# A job ends itself when its grace is over. One that is frozen, or whose threads wait for native code, cannot.
EXTRA_SECONDS = 3.0


class OverdueStops:
    """Notices when the stop of a job is overdue, by a clock that nobody sets."""

    def __init__(self, storage: StorageLayout, grace_seconds: float, clock: Callable[[], float] = time.monotonic):
        self._storage = storage
        self._patience = grace_seconds + EXTRA_SECONDS
        self._clock = clock
        self._seen: tuple[str, float] | None = None

    def is_overdue(self, process_id: str) -> bool:
        """Tell whether the job of a process should have ended; it is asked again and again while the job runs."""
        run = self._storage.run(process_id)
        if run is None or not run.stop_request.exists():
            return False
        if self._seen is None or self._seen[0] != process_id:
            self._seen = process_id, self._clock()
        return self._clock() - self._seen[1] >= self._patience
