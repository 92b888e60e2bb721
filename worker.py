"""Start a worker for the queues that are given: `python worker.py training`, `python worker.py inference`."""

import sys

from app.jobs.worker import environment as worker_environment

if __name__ == "__main__":
    worker_environment.ensure()  # before the imports below load what reads it

from app.errors import ToolkitError
from app.jobs.worker.serving import run_worker
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
