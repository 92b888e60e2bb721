"""What a worker does with what somebody else put into its Redis: a real Redis, a real worker, real hostile jobs."""

import os
import pickle
import subprocess
import sys

import pytest
from redis import Redis
from rq import Callback, Queue
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from app.jobs.queue import JobQueue
from app.settings import CLONE_FOLDER

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"
LONG_AGO = 1.0

WORKER = """
import sys
from pathlib import Path
from app.jobs.worker.workers import open_worker
from app.runs.identity import make_identity
from app.settings import Settings

settings = Settings(redis_url=sys.argv[1], storage_dir=Path(sys.argv[2]))
settings.storage_dir.mkdir(exist_ok=True)
make_identity(settings.storage_dir)
open_worker(["inference"], settings).work(burst=True)
"""


class Bomb:
    """Content that runs a program when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (type(self.mark).touch, (self.mark,))


@pytest.fixture
def mark(tmp_path):
    """The file that every hostile job tries to make."""
    return tmp_path / "mark"


@pytest.fixture
def connection(redis_url):
    with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def queue(connection):
    return Queue("inference", connection=connection, serializer=JSONSerializer)


@pytest.fixture
def work(redis_url, tmp_path):
    """Run a worker until the queue is empty, and return what it said."""

    def run():
        command = [sys.executable, "-c", WORKER, redis_url, str(tmp_path / "storage")]
        paths = os.pathsep.join([str(CLONE_FOLDER), str(tmp_path)])
        answer = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=120
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout + answer.stderr

    return run


def test_a_worker_runs_no_function_but_its_own(queue, connection, mark, work):
    for function in ("os.system", "subprocess.getoutput"):
        queue.enqueue(function, f"touch {mark}")
    queue.enqueue("builtins.exec", f"open({str(mark)!r}, 'w')")
    queue.enqueue("pathlib.Path.touch", str(mark))
    method = Job.create("strip", args=[], connection=connection, serializer=JSONSerializer)
    method.instance = "a text"
    queue.enqueue_job(method)

    said = work()

    assert not mark.exists()
    assert said.count("This worker does not run") == 5 and "'os.system'" in said
    assert queue.is_empty and method.get_status() == JobStatus.FAILED


def test_a_worker_calls_nothing_back(queue, connection, mark, work):
    (mark.parent / "hostile.py").write_text(f"def touch(*arguments):\n    open({str(mark)!r}, 'w')\n")
    touch = Callback("hostile.touch")
    queue.enqueue("app.jobs.inference.job.run", PROCESS_ID, on_failure=touch)
    abandoned = queue.enqueue("app.jobs.inference.job.run", PROCESS_ID, on_failure=touch)
    connection.lrem(queue.key, 1, abandoned.id)
    abandoned.set_status(JobStatus.STARTED)
    connection.zadd(StartedJobRegistry(queue=queue).key, {f"{abandoned.id}:1": LONG_AGO})

    work()

    assert not mark.exists()
    assert abandoned.get_status() == JobStatus.FAILED


def test_a_worker_unpickles_nothing(queue, connection, mark, work):
    for field in ("data", "result", "meta"):
        job = queue.enqueue("app.jobs.inference.job.run", PROCESS_ID)
        connection.hset(job.key, field, pickle.dumps(Bomb(mark)))

    work()

    assert queue.is_empty and not mark.exists()


UNREADABLE = {
    "status": "flying",
    "created_at": "yesterday",
    "timeout": "soon",
    "retries_left": "many",
    "dependency_ids": "{",
    "repeat_intervals": "[",
    "description": b"\xff",
}


def test_what_nobody_can_read_ends_no_worker_and_does_not_stay(redis_url, queue, connection, work):
    for field, value in UNREADABLE.items():
        job = queue.enqueue("app.jobs.inference.job.run", PROCESS_ID)
        connection.hset(job.key, mapping={field: value, "repeats_left": 1})
    connection.set("rq:job:text", "this is no job")
    connection.rpush(queue.key, "text", "no job at all", "evil\nline", b"\xff\xfe")
    connection.rpush(queue.intermediate_queue_key, b"\xff\xfe")
    JobQueue(redis_url).enqueue("inference", PROCESS_ID, "infer\nlater")

    said = work()

    assert f"begins: infer?later [{PROCESS_ID}]" in said and "has no run folder" in said
    assert said.count("left out: ") >= len(UNREADABLE) and "Traceback" not in said
    assert queue.is_empty and b"\xff\xfe" not in connection.lrange(queue.intermediate_queue_key, 0, -1)


def test_a_job_is_queued_though_somebody_has_written_nonsense_under_its_name(redis_url, queue, connection):
    connection.set(f"rq:job:{PROCESS_ID}", "this is no job")
    connection.zadd(queue.started_job_registry.key, {"no execution": 1, b"\xff\xfe": 1, f"{PROCESS_ID}:1": 1})

    JobQueue(redis_url).enqueue("inference", PROCESS_ID, "infer")

    assert queue.fetch_job(PROCESS_ID).description == "infer"
    assert connection.zrange(queue.started_job_registry.key, 0, -1) == [b"no execution", b"\xff\xfe"]


def test_a_worker_goes_on_with_the_service_s_own_jobs(redis_url, queue, work):
    queue.enqueue("os.system", "true")
    JobQueue(redis_url).enqueue("inference", PROCESS_ID, "infer")

    assert f"Process {PROCESS_ID} has no run folder" in work()
