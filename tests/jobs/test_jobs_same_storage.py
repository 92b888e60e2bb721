"""A worker that sees another storage folder than the web server, or none."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from app.errors import ConfigurationError
from app.jobs import same_storage
from app.jobs.queue import JobQueue
from app.runs.identity import make_identity, read_identity
from app.runs.layout import StorageLayout
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
    return lambda folder, process_id=None: same_storage.check(
        connection, Settings(redis_url=redis_url, storage_dir=folder), process_id
    )


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


@contextmanager
def another_user():
    """Be somebody else; of root, whom no mode keeps away, only the real user changes, whom access(2) asks."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    os.setreuid(65534, -1)
    try:
        yield
    finally:
        os.setreuid(0, -1)


def test_a_worker_of_another_user_that_may_not_write_there_says_so(check):
    with TemporaryDirectory(dir="/tmp") as name:  # tmp_path, and maybe TMPDIR, let nobody else in
        folder = Path(name)
        folder.chmod(0o755)
        storage = StorageLayout(folder)
        storage.create()
        make_identity(folder)
        run = storage.run(PROCESS_ID)
        run.path.mkdir()
        with another_user():
            with pytest.raises(ConfigurationError, match=r"this worker \(number 65534\) may not write into .*/runs;"):
                check(folder)
            storage.runs.chmod(0o777)
            check(folder)
            with pytest.raises(ConfigurationError, match=f"may not write into {run.path};"):
                check(folder, PROCESS_ID)

        check(folder, PROCESS_ID)
