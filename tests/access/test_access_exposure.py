import pytest

from app.access.exposure import is_loopback, names_this_machine, refuse_exposure
from app.access.tokens import stored_tokens
from app.errors import ConfigurationError
from app.settings import Settings

OPEN = ["0.0.0.0", "::", "192.0.2.7", "8.8.8.8", "::ffff:0.0.0.0"]
CLOSED = ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "localhost"]


@pytest.mark.parametrize("host", CLOSED)
def test_addresses_that_only_this_machine_reaches(host):
    assert is_loopback(host) and names_this_machine(host)


@pytest.mark.parametrize("host", OPEN)
def test_addresses_that_others_may_reach(host):
    assert not is_loopback(host) and not names_this_machine(host)


def test_a_name_is_not_this_machine_because_it_sounds_like_it():
    assert not names_this_machine("127.0.0.1.example") and not names_this_machine("localhost.example")


def test_to_listen_for_others_needs_a_token(tmp_path):
    tokens = stored_tokens(Settings(storage_dir=tmp_path))
    refuse_exposure(CLOSED, tokens)
    for host in OPEN:
        with pytest.raises(ConfigurationError, match="dht token create NAME"):
            refuse_exposure(["127.0.0.1", host], tokens)
    with pytest.raises(ConfigurationError, match="To listen on all addresses lets"):
        refuse_exposure([""], tokens)  # as gunicorn has it of --bind :8000

    tokens.create("anna")

    refuse_exposure(OPEN, tokens)
