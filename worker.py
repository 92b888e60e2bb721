"""Start a worker for the queues that are given: `python worker.py training`, `python worker.py inference`."""

import os
import sys

# Idle OpenMP threads that spin for long slow a busy box 4 to 10 times; libgomp reads this when torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "3000")}

from app.errors import ToolkitError
from app.jobs.workers import run_worker
from app.settings import Settings


def main(arguments: list[str]) -> int:
    """Serve the queues; return 1 with one sentence when that cannot begin."""
    try:
        run_worker(arguments, Settings.from_environment())
    except ToolkitError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
