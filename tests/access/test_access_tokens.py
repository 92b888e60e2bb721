from datetime import UTC, datetime, timedelta

import pytest

from app.access.tokens import Tokens, stored_tokens
from app.errors import Conflict, InvalidInput, NotFound
from app.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(storage_dir=tmp_path)


@pytest.fixture
def tokens(settings):
    return stored_tokens(settings)


def test_a_token_is_known_by_its_owner_until_it_is_revoked(tokens):
    anna, ben = tokens.create("anna"), tokens.create("ben@lab")

    assert (tokens.owner(anna), tokens.owner(ben)) == ("anna", "ben@lab")
    tokens.revoke("anna")

    assert tokens.owner(anna) is None and tokens.owner(ben) == "ben@lab"
    with pytest.raises(NotFound, match="anna"):
        tokens.revoke("anna")


def test_what_one_process_revokes_another_refuses_at_once(settings, tokens):
    token = tokens.create("anna")
    other = stored_tokens(settings)
    assert other.owner(token) == "anna"

    tokens.revoke("anna")

    assert other.owner(token) is None


def test_the_token_itself_is_nowhere_stored(tmp_path, tokens):
    token = tokens.create("anna")

    assert len(token) > 40
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"anna" in stored and token.encode() not in stored and token[4:].encode() not in stored


@pytest.mark.parametrize("text", ["", "dht_", "\udcff", "x" * 100_000, "anna"])
def test_other_texts_are_nobody_s(tokens, text):
    token = tokens.create("anna")

    for wrong in (text, token + text if text else token[:-1], token.upper()):
        assert tokens.owner(wrong) is None


def test_an_expired_token_is_refused_and_opens_nothing(tokens):
    token = tokens.create("anna", days=1)
    [record] = tokens.all()
    assert tokens.owner(token) == "anna"
    assert datetime.fromisoformat(record["expires"]) - datetime.now(UTC) < timedelta(days=1, seconds=2)

    tokens.repository.update(record["id"], expires=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())

    assert tokens.owner(token) is None and tokens.exist()


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "a\n", "x" * 65, "../x", "é"])
def test_names_that_cannot_be_told_apart_in_a_log_are_refused(tokens, name):
    with pytest.raises(InvalidInput, match="cannot name a token"):
        tokens.create(name)
    assert not tokens.exist()


def test_a_name_has_one_token(tokens):
    tokens.create("anna")

    with pytest.raises(Conflict, match="revoke it first"):
        tokens.create("anna")
    assert isinstance(tokens, Tokens) and len(tokens.all()) == 1
