"""The real server, started as the Procfile starts it."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from redis import Redis
from waiting import PATIENCE_SECONDS, wait_until

from app.embedded_redis import is_ready, run, server_binary
from app.errors import ConfigurationError, StorageUnavailable
from app.settings import CLONE_FOLDER, Settings


@pytest.fixture(params=["storage", "st ör'a\"ge", "deep/" * 30], ids=["plain", "odd", "long"])
def settings(request, tmp_path):
    return Settings(storage_dir=tmp_path / request.param)


@pytest.fixture
def start():
    started = []

    def start_server(settings: Settings) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "redis"],
            cwd=CLONE_FOLDER,
            env=os.environ | {"STORAGE_DIR": str(settings.storage_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start_server
    for process in started:
        process.kill()
        process.communicate()


def wait_until_ready(settings: Settings, process: subprocess.Popen) -> Redis:
    wait_until(lambda: is_ready(settings) or process.poll() is not None)
    assert process.poll() is None, process.stdout.read()
    return Redis(unix_socket_path=str(settings.redis_socket))


def test_listens_for_its_owner_only_and_on_no_network(settings, start):
    client = wait_until_ready(settings, start(settings))

    assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(settings.redis_socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.redis_socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.storage_dir / "redis").stat().st_mode) == 0o700


def test_keeps_what_it_was_told_when_it_is_killed(settings, start):
    first = start(settings)
    client = wait_until_ready(settings, first)
    client.set("job", "waiting")

    first.send_signal(signal.SIGKILL)
    first.wait()
    assert settings.redis_socket.exists()  # the killed server left its socket
    assert not is_ready(settings)

    assert wait_until_ready(settings, start(settings)).get("job") == b"waiting"


def test_a_second_server_on_the_same_storage_is_refused_and_the_first_goes_on(tmp_path, start):
    settings = Settings(storage_dir=tmp_path)
    client = wait_until_ready(settings, start(settings))

    second = start(settings)
    output, _ = second.communicate(timeout=PATIENCE_SECONDS)

    assert second.returncode == 1
    assert output == (
        f"Error: Another Redis server serves {tmp_path}/redis already; "
        "stop it, or choose another folder with STORAGE_DIR=/a/folder.\n"
    )
    assert client.ping()


def test_a_storage_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StorageUnavailable, match="file/storage/redis cannot be made"):
        run(Settings(storage_dir=tmp_path / "file" / "storage"))


def test_a_link_in_place_of_the_private_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "redis").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StorageUnavailable, match="is not a folder of the user"):
        run(Settings(storage_dir=tmp_path))


def test_a_server_on_path_serves_where_the_wheel_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="install redis-server, or name a running one with REDIS_URL"):
        server_binary()
    (tmp_path / "redis-server").touch(mode=0o755)
    assert server_binary() == tmp_path / "redis-server"
