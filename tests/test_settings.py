import tempfile
from pathlib import Path

import pytest
from redis import Redis

from app.errors import ConfigurationError
from app.jobs.worker.redis_absence import wait_for_redis
from app.settings import LONGEST_SOCKET_PATH, Settings


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.from_environment({})

    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8000, "")
    assert settings.cors_origins == ("http://localhost:4200",)


def test_every_option_is_read_from_its_variable():
    settings = Settings.from_environment(
        {"PORT": "9000", "STORAGE_DIR": "/data", "DATA_ROOTS": "/usr:/tmp", "CORS_ORIGINS": "http://x, http://y"}
    )

    assert settings.port == 9000
    assert settings.storage_dir == Path("/data")
    assert settings.data_roots == (Path("/usr"), Path("/tmp"))
    assert settings.cors_origins == ("http://x", "http://y")


@pytest.mark.parametrize(
    ("variable", "text"), [("PORT", "http"), ("PORT", "70000"), ("WEB_WORKERS", "0"), ("DATA_ROOTS", "/nonexistent")]
)
def test_a_bad_value_is_refused_with_variable_value_and_what_is_expected(variable, text):
    with pytest.raises(ConfigurationError, match=f"{variable}='{text}' cannot be used: "):
        Settings.from_environment({variable: text})


@pytest.mark.parametrize("url", ["http://:hunter2@host", "redis://:hunter2@host:port", "host:6379/hunter2"])
def test_the_password_of_redis_is_shown_to_nobody(url):
    with pytest.raises(ConfigurationError, match="REDIS_URL cannot be used: a redis://") as refusal:
        Settings.from_environment({"REDIS_URL": url})
    assert "hunter2" not in str(refusal.value)

    settings = Settings(redis_url="rediss://lab:hunter2@host:6380/1?ssl_ca_certs=/etc/ca.pem&password=hunter2")
    assert settings.shown_queue_url == "rediss://host:6380/1" and "hunter2" not in repr(settings)
    refused = Redis.from_url("redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(ConfigurationError, match=r"Redis at redis://127\.0\.0\.1:1/0 does not answer ") as refusal:
        wait_for_redis(refused, Settings(redis_url="redis://:hunter2@127.0.0.1:1/0").shown_queue_url, seconds=0)


def test_the_queue_url_of_the_embedded_redis_names_its_socket_whatever_the_folder_is_called():
    settings = Settings(storage_dir=Path("/srv/50% of #1?"))

    socket = Redis.from_url(settings.queue_url).connection_pool.connection_kwargs["path"]

    assert socket == str(settings.redis_socket)
    assert Settings(redis_url="redis://host:1/0").queue_url == "redis://host:1/0"


@pytest.mark.parametrize("temporary", ["/tmp", "/var/tmp/" + "deep/" * 20])
def test_the_socket_path_stays_short_enough_for_the_kernel(monkeypatch, temporary):
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    near = Settings(storage_dir=Path("/srv/storage"))
    far = Settings(storage_dir=Path("/srv") / ("deep/" * 40))

    assert near.redis_socket == Path("/srv/storage/redis/redis.sock")
    assert len(str(far.redis_socket)) <= LONGEST_SOCKET_PATH
    assert far.redis_socket != Settings(storage_dir=Path("/srv") / ("other/" * 40)).redis_socket
