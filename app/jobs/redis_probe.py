"""What Redis tells of queues and workers, for those who cannot wait for a Redis that hangs."""

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from redis.exceptions import RedisError

from app.jobs.queue import QUEUE_NAMES, connect
from app.pids import is_running

ANSWER_SECONDS = 0.05
GLANCE_SECONDS = 0.005  # for a question that has been open for longer already
REMEMBERED_SECONDS = 5.0  # on a busy machine a healthy Redis may take longer to answer than anybody waits here
REGISTRIES = {"started": "wip", "finished": "finished", "failed": "failed"}
WORKER_FIELDS = ("queues", "hostname", "pid", "birth", "state", "current_job")


class RedisProbe:
    """Asks Redis in a thread of its own, and waits only a moment for it."""

    def __init__(self, url: str):
        self._connection = connect(url)
        self._lock = Lock()
        self._threads: ThreadPoolExecutor | None = None  # made on first use: threads do not outlive a fork
        self._asked: Future[dict] | None = None
        self._asked_at = 0.0
        self._answer: dict | None = None
        self._answered = 0.0

    def ask(self) -> dict | None:
        """Return queues, jobs and workers, at most some seconds old; None while Redis does not answer."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._threads = self._threads or ThreadPoolExecutor(1, thread_name_prefix="redis-probe")
                self._asked = self._threads.submit(self._look)
                self._asked_at = time.monotonic()
            asked = self._asked
            wait = max(GLANCE_SECONDS, self._asked_at + ANSWER_SECONDS - time.monotonic())
        try:
            self._answer, self._answered = asked.result(wait), time.monotonic()
        except TimeoutError:
            if time.monotonic() - self._answered > REMEMBERED_SECONDS:
                return None
        except (RedisError, OSError):
            return None
        return self._answer

    def _look(self) -> dict:
        with self._connection.pipeline(transaction=False) as pipeline:
            pipeline.smembers("rq:workers")
            for name in QUEUE_NAMES:
                pipeline.llen(f"rq:queue:{name}")
                for registry in REGISTRIES.values():
                    pipeline.zcard(f"rq:{registry}:{name}")
            keys, *counts = pipeline.execute()
        workers = self._workers(sorted(keys))
        queues = []
        for name in QUEUE_NAMES:
            numbers = dict(zip(("waiting", *REGISTRIES), counts, strict=False))
            del counts[: len(numbers)]
            serving = sum(name in worker["queues"] for worker in workers)
            queues.append({"name": name, "workers": serving, **numbers})
        return {"queues": queues, "workers": workers}

    def _workers(self, keys: list[bytes]) -> list[dict]:
        with self._connection.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, WORKER_FIELDS)
            rows = pipeline.execute()
        found = [
            dict(zip(WORKER_FIELDS, (value and value.decode("utf-8", "replace") for value in row), strict=True))
            for row in rows
        ]
        return [_shown(worker) for worker in found if _is_alive(worker)]


def _shown(worker: dict[str, Any]) -> dict:
    return {
        "host": worker["hostname"],
        "pid": int(worker["pid"] or 0),
        "queues": worker["queues"].split(","),
        "since": worker["birth"],
        "state": worker["state"] or "starting",
        "process_id": worker["current_job"] or None,
    }


def _is_alive(worker: dict[str, Any]) -> bool:
    """Tell whether a worker lives: Redis forgets one that has been silent for half a minute."""
    if not worker["queues"]:
        return False
    return worker["hostname"] != socket.gethostname() or is_running(int(worker["pid"] or 0))
