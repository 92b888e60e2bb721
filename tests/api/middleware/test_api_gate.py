"""Who gets in, from where, and with what."""

import pytest
from api_sandbox import ORIGIN, assert_error

from app import create_app
from app.access.tokens import stored_tokens
from app.api.middleware.gate import PUBLIC
from app.errors import ConfigurationError
from app.settings import Settings

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
PROJECT = {"name": "a", "task_id": 1}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token(settings):
    """A token of anna's, made by another process than the one that answers."""
    return stored_tokens(settings).create("anna")


@pytest.fixture
def addresses(app):
    """Every path with every method, as a stranger would try them."""
    urls = app.url_map.bind("localhost")
    return [
        (method, urls.build(rule.endpoint, dict.fromkeys(rule.arguments, 1)), rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS"}
    ]


def test_as_soon_as_there_is_a_token_everything_but_the_listed_needs_one(client, addresses, token):
    tried = 0
    for method, path, endpoint in addresses:
        answer = client.open(path, method=method)
        assert (answer.status_code == 401) != (endpoint in PUBLIC) or endpoint == "session.create_session", path
        if answer.status_code == 401 and method != "HEAD":
            tried += 1
            assert_error(answer, 401)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
            assert "Authorization: Bearer" in answer.json["message"]
    assert tried > 30
    assert_error(client.get("/backend/nothing"), 401)


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic YTpi", "x", "Bearer a=b", "", "Bearer " + "x" * 9000])
def test_what_is_no_valid_token_is_refused(client, token, header):
    assert_error(client.get("/backend/projects", headers={"Authorization": header}), 401)


def test_a_token_lets_in_until_it_is_revoked_also_the_last_one(client, settings, token):
    created = client.post("/backend/projects", json=PROJECT, headers=bearer(token), environ_overrides=ELSEWHERE)
    assert created.status_code == 201

    stored_tokens(settings).revoke("anna")

    assert_error(client.get("/backend/projects", headers=bearer(token)), 401)
    assert_error(client.get("/backend/projects", headers=bearer(token), environ_overrides=ELSEWHERE), 401)


def test_a_refused_request_is_not_read(client, token):
    answer = client.post("/backend/projects", data=b"{" * 1000, content_type="application/json")
    assert_error(answer, 401)
    assert answer.request.environ["wsgi.input"].tell() == 0


@pytest.mark.parametrize(
    ("headers", "environ"),
    [
        ({}, ELSEWHERE),
        ({}, {"REMOTE_ADDR": "::ffff:192.0.2.7"}),
        ({"X-Forwarded-For": "192.0.2.7"}, {}),
        ({"Forwarded": "for=127.0.0.1"}, {}),
        ({"Host": "rebound.example"}, {}),
        ({"Host": "127.0.0.1.example:8000"}, {}),
    ],
)
def test_without_tokens_only_this_machine_is_answered(client, headers, environ):
    assert client.get("/backend/projects").status_code == 200
    assert client.get("/backend/projects", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/backend/projects", headers={"Host": "[::1]:8000"}).status_code == 200

    answer = client.get("/backend/projects", headers=headers, environ_overrides=environ)

    assert_error(answer, 401)
    assert "its own machine" in answer.json["message"]


def test_pages_of_other_origins_change_nothing(client):
    foreign = {"Origin": "http://elsewhere.example"}
    for headers in (foreign, {"Origin": "null"}, {"Origin": "http://localhost:9999"}):
        assert_error(client.post("/backend/projects", data=PROJECT, headers=headers), 403)
        assert_error(client.delete("/backend/projects/1", headers=headers), 403)
    assert client.get("/backend/projects", headers=foreign).json == []
    for headers in ({"Origin": ORIGIN}, {"Origin": "http://localhost"}, {}):
        assert client.post("/backend/projects", data=PROJECT, headers=headers).status_code == 201


def test_a_browser_signs_in_and_out(client, settings, token):
    assert client.get("/backend/session").json == {"name": None, "needs_token": True}
    assert_error(client.post("/backend/session", json={"token": "dht_x"}), 401)

    answer = client.post("/backend/session", json={"token": token}, headers={"Origin": ORIGIN})

    assert answer.json == {"name": "anna", "needs_token": True}
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert client.get("/backend/projects").status_code == 200
    assert_error(client.post("/backend/projects", json=PROJECT, headers={"Origin": "http://elsewhere.example"}), 403)
    assert client.delete("/backend/session").status_code == 204
    assert_error(client.get("/backend/projects"), 401)

    client.post("/backend/session", json={"token": token}, headers={"X-Forwarded-Proto": "https"})
    stored_tokens(settings).revoke("anna")
    stored_tokens(settings).create("ben")
    assert_error(client.get("/backend/projects"), 401)


def test_no_page_gets_credentials_because_every_page_may_read(settings):
    client = create_app(Settings(**vars(settings) | {"cors_origins": ("*",)})).test_client()
    answer = client.get("/backend/tasks", headers={"Origin": "http://elsewhere.example"})
    assert answer.access_control_allow_origin == "http://elsewhere.example"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_preflights_bring_no_token_and_errors_may_be_read(client, token):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = client.options("/backend/projects", headers=headers)
    assert preflight.status_code == 200 and "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert client.get("/backend/projects", headers={"Origin": ORIGIN}).access_control_allow_origin == ORIGIN


def test_an_application_for_other_machines_needs_a_token(settings):
    exposed = Settings(**vars(settings) | {"host": "0.0.0.0"})
    with pytest.raises(ConfigurationError, match="dht token create NAME"):
        create_app(exposed)

    tokens = stored_tokens(settings)
    tokens.create("anna")
    client = create_app(exposed).test_client()
    tokens.revoke("anna")

    assert_error(client.get("/backend/projects"), 401)
