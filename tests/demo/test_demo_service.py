import pytest

from app.demo.service import running_service, service_environment
from app.demo.story import run_demo
from app.errors import Conflict, JobFailure
from app.launcher import storage_lock
from app.settings import Settings


def test_no_setting_of_the_users_own_service_counts(tmp_path):
    users = {"PORT": "8000", "STORAGE_DIR": "/srv/lab", "REDIS_URL": "redis://lab", "DATA_ROOTS": "/data", "HOST": "::"}

    settings = Settings.from_environment(service_environment(tmp_path, users))

    assert settings == Settings(port=0, storage_dir=tmp_path / "storage")


def test_a_service_that_does_not_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("WEB_WORKERS", "many")

    with (
        pytest.raises(JobFailure, match="did not start: Error: WEB_WORKERS='many' cannot be used"),
        running_service(tmp_path),
    ):
        raise AssertionError("it started")


def test_a_demo_that_still_runs_keeps_its_folder(tmp_path):
    with storage_lock(tmp_path / "storage"), pytest.raises(Conflict, match="is served already"):
        run_demo(tmp_path)

    assert (tmp_path / "storage").is_dir()
