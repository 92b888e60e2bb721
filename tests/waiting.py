"""Waiting for what must happen: for longer than any busy machine takes, and not for ever."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.02


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS, pause: float = PAUSE_SECONDS) -> Any:
    """Return the condition's first true value, asked for after each pause.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition did not come true in {seconds:.0f} seconds"
        time.sleep(pause)
    return value
