"""A worker that sees another storage folder than the web server, or none."""

import os
import shutil
import subprocess
import sys

import pytest
from redis import Redis

from app.errors import ConfigurationError
from app.jobs import same_storage
from app.jobs.queue import JobQueue
from app.runs.identity import make_identity, read_identity
from app.settings import CLONE_FOLDER, Settings

PROCESS_ID = "63ad58f4-cfaa-4edd-8600-e6c3f99bd87e"

WORKER = """
import sys
from pathlib import Path
from app.errors import ConfigurationError
from app.jobs.worker.workers import open_worker
from app.settings import Settings

settings = Settings(redis_url=sys.argv[1], storage_dir=Path(sys.argv[2]))
worker = open_worker(sys.argv[3:], settings)
worker.work(burst=True)
print(worker.refusal and worker.refusal.message)
"""


@pytest.fixture
def connection(redis_url):
    with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def check(redis_url, connection):
    return lambda folder: same_storage.check(connection, Settings(redis_url=redis_url, storage_dir=folder))


def test_the_folder_of_the_web_server_is_taken_and_no_other(tmp_path, redis_url, check):
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.mkdir()
    other.mkdir()
    with pytest.raises(ConfigurationError, match="is not mounted"):
        check(other)
    assert make_identity(ours) == make_identity(ours) == read_identity(ours) != make_identity(other)
    check(other)  # nobody has queued anything yet

    JobQueue(redis_url).claim(read_identity(ours))

    check(ours)
    shutil.copytree(ours, tmp_path / "mounted elsewhere")
    check(tmp_path / "mounted elsewhere")
    with pytest.raises(ConfigurationError, match="another storage folder"):
        check(other)
    assert [path.name for path in ours.iterdir()] == ["storage.id"]


@pytest.mark.parametrize("queues", [["inference"], ["training", "inference"]])
def test_a_worker_whose_folder_went_away_leaves_and_the_job_waits_for_others(tmp_path, redis_url, connection, queues):
    queue = JobQueue(redis_url)
    queue.claim(make_identity(tmp_path))
    queue.enqueue("inference", PROCESS_ID, "infer")
    queue.enqueue("inference", PROCESS_ID.replace("6", "7"), "infer more")
    (tmp_path / "storage.id").unlink()

    command = [sys.executable, "-c", WORKER, redis_url, str(tmp_path), *queues]
    answer = subprocess.run(command, cwd=CLONE_FOLDER, env=os.environ, capture_output=True, text=True, timeout=120)

    assert "is not mounted" in answer.stdout, answer.stderr
    assert queue.position("inference", PROCESS_ID) == 1
    assert connection.keys("*intermediate*") == connection.keys("rq:wip:*") == []
