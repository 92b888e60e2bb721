"""Orders to `app.jobs.weights.program`, which does for the web process what needs a deep-learning library.

The program has limits of time and memory, and whatever a foreign file does there ends with it.
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from app.errors import StorageFull, StorageUnavailable, ToolkitError
from app.jobs.services import Services
from app.settings import CLONE_FOLDER

EXPORT = "export"
IMPORT = "import"
PROGRAM = "app.jobs.weights.program"
LONGEST_SECONDS = 300
REFUSED = 3  # the exit code of an order that was refused, with `{"error": sentence}` as the answer
# Those of an order that may be sound, but its result cannot be kept; the answer has the same form.
NOT_STORED: dict[int, type[StorageUnavailable]] = {4: StorageFull, 5: StorageUnavailable}
TOO_MUCH = (
    f"The network takes more than {LONGEST_SECONDS} seconds, or more memory than is granted; a smaller one is needed."
)


def run_order(services: Services, order: Mapping) -> dict:
    """Return the answer to an order; `error` in it is the sentence of a refusal, `errors` may have it by field.

    Raises:
        Busy: while other orders are worked on.
        StorageUnavailable: when the storage folder cannot be read or written, as on a full disk.
    """
    settings = services.settings
    limits = {"url_hosts": settings.url_hosts, "url_timeout_seconds": settings.url_timeout_seconds,
              "max_image_pixels": settings.max_image_pixels, "storage_dir": str(settings.storage_dir)}  # fmt: skip
    with services.programs.held():
        return _answer(json.dumps({**order, "settings": limits}).encode())


def _answer(order: bytes) -> dict:
    try:
        ended = subprocess.run(
            [sys.executable, "-m", PROGRAM],
            input=order,
            capture_output=True,
            cwd=CLONE_FOLDER,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": TOO_MUCH}
    if ended.returncode < 0:  # the kernel's answer to a program that is over its limits, or crashes
        return {"error": TOO_MUCH}
    if ended.returncode in NOT_STORED:
        raise NOT_STORED[ended.returncode](json.loads(ended.stdout)["error"])
    if ended.returncode not in (0, REFUSED):
        raise ToolkitError(f"The weights program failed: {ended.stderr.decode(errors='replace')[-2000:]}")
    return json.loads(ended.stdout)
