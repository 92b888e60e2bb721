"""What Redis tells of queues and workers, for those who cannot wait for a Redis that hangs."""

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from redis.exceptions import RedisError

from app.jobs.queue import QUEUE_NAMES, connect
from app.jobs.running_code import CODE_FIELD, running_code
from app.pids import is_running, pid_space

ANSWER_SECONDS = 0.05
GLANCE_SECONDS = 0.005  # for a question that has been open for longer already
# On a busy machine, and over a new connection by TLS, a healthy Redis may take longer than that. What it said just now
# counts then; one that has not been asked just now is waited for.
REMEMBERED_SECONDS = 5.0
PATIENCE_SECONDS = 0.9
LONGEST_PID = 10
REGISTRIES = {"started": "wip", "finished": "finished", "failed": "failed"}
PID_SPACE_FIELD = "pid_space"  # where the number of a worker counts
WORKER_FIELDS = ("queues", "hostname", "pid", "birth", "state", CODE_FIELD, PID_SPACE_FIELD)


class RedisProbe:
    """Asks Redis in a thread of its own, and waits only a moment for it."""

    def __init__(self, url: str):
        running_code()  # as it is now, when the program starts
        self._connection = connect(url)
        self._lock = Lock()
        self._threads: ThreadPoolExecutor | None = None  # made on first use: threads do not outlive a fork
        self._asked: Future[dict] | None = None
        self._asked_at = 0.0
        self._answer: dict | None = None
        self._answered = self._tried = -math.inf

    def ask(self) -> tuple[dict | None, Exception | None]:
        """Return queues, jobs and workers, at most some seconds old, or None and why Redis cannot be asked."""
        with self._lock:
            now = time.monotonic()
            if self._asked is None or self._asked.done():
                self._threads = self._threads or ThreadPoolExecutor(1, thread_name_prefix="redis-probe")
                self._asked = self._threads.submit(self._look)
                self._asked_at = now
            asked = self._asked
            patience = ANSWER_SECONDS if now - self._tried <= REMEMBERED_SECONDS else PATIENCE_SECONDS
            wait = max(GLANCE_SECONDS, self._asked_at + patience - now)
        try:
            self._answer = asked.result(wait)
            self._answered = time.monotonic()
        except TimeoutError as error:
            if now - self._answered > REMEMBERED_SECONDS:
                return None, error
        except (RedisError, OSError) as error:
            return None, error
        finally:
            self._tried = time.monotonic()
        return self._answer, None

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
                pipeline.smembers(key + b":executions")
            rows = iter(pipeline.execute())
        found = []
        for fields, executions in zip(rows, rows, strict=True):
            texts = (value and value.decode("utf-8", "replace") for value in fields)
            found.append({**dict(zip(WORKER_FIELDS, texts, strict=True)), "executions": sorted(executions)})
        return [_shown(worker) for worker in found if _is_alive(worker)]


def _shown(worker: dict[str, Any]) -> dict:
    return {
        "host": worker["hostname"],
        "pid": _pid(worker),
        "queues": worker["queues"].split(","),
        "since": worker["birth"],
        "state": worker["state"] or "starting",
        "is_same_version": worker[CODE_FIELD] == running_code(),
        "process_id": next((_process_id(execution) for execution in worker["executions"]), None),
    }


def _process_id(execution: bytes) -> str:
    """Return the job of an execution, as RQ writes it: `job:execution`."""
    return execution.decode("utf-8", "replace").partition(":")[0]


def _is_alive(worker: dict[str, Any]) -> bool:
    """Tell whether a worker lives: Redis forgets one that has been silent for half a minute."""
    if not worker["queues"]:
        return False
    is_here = worker[PID_SPACE_FIELD] is not None and worker[PID_SPACE_FIELD] == pid_space()
    return not is_here or is_running(_pid(worker))


def _pid(worker: dict[str, Any]) -> int:
    text = worker["pid"] or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_PID else 0
