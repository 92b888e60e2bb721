"""How much one client may ask for."""

import pytest
from api_sandbox import UNREACHABLE_REDIS, assert_error
from waiting import PATIENCE_SECONDS

from app import create_app
from app.access.tokens import stored_tokens
from app.jobs import client_limits
from app.settings import Settings


@pytest.fixture
def limited(settings, monkeypatch):
    """Applications of two web workers with these limits; a busy machine's Redis has time to answer, as here it must."""
    monkeypatch.setattr(client_limits, "ANSWER_SECONDS", PATIENCE_SECONDS)
    return lambda **limits: [create_app(Settings(**vars(settings) | limits)).test_client() for _ in range(2)]


def test_too_many_requests_are_refused_for_a_while_over_all_workers_and_to_that_client_alone(limited, settings):
    first, second = limited(rate_limit=20)
    anna, ben = ({"Authorization": f"Bearer {stored_tokens(settings).create(name)}"} for name in ("anna", "ben"))

    answers = [client.get("/backend/tasks", headers=anna) for _ in range(30) for client in (first, second)]

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 20 <= len(answers) - len(refused) <= 40  # more than 20 where a new minute began in between
    assert_error(refused[-1], 429)
    assert 1 <= int(refused[-1].headers["Retry-After"]) <= 60 and "RATE_LIMIT" in refused[-1].json["message"]
    assert second.get("/backend/tasks", headers=ben).status_code == 200


def test_a_limit_without_redis_refuses_nobody(limited):
    client, _ = limited(rate_limit=1, redis_url=UNREACHABLE_REDIS)
    assert {client.get("/backend/tasks").status_code for _ in range(5)} == {200}


def test_a_client_lets_no_more_jobs_wait_than_the_limit_and_others_may(limited, settings, project, dataset):
    client, _ = limited(max_waiting_jobs=2)
    anna, ben = ({"Authorization": f"Bearer {stored_tokens(settings).create(name)}"} for name in ("anna", "ben"))
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"]}

    def train(headers):
        return client.post("/backend/train", json=body, headers=headers)

    def stop(answer, headers):
        return client.post("/backend/stopProcess", json={"process_id": answer.json["process_id"]}, headers=headers)

    # The dataset's check waits too: it belongs to nobody, and keeps nobody out.
    hers, _ = train(anna), train(anna)
    refused = train(anna)
    assert_error(refused, 429)
    assert "MAX_WAITING_JOBS" in refused.json["message"] and refused.headers["Retry-After"]
    assert train(ben).status_code == 201
    assert stop(hers, ben).status_code == 200  # who holds a token may do everything
    assert train(anna).status_code == 201
    assert_error(train(anna), 429)


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("projects", "application/json", "{" + ",".join(f'"{number}":1' for number in range(20_000)) + "}"),
        ("projects", "application/x-www-form-urlencoded", "&".join(f"{number}=1" for number in range(20_000))),
        ("train", "application/x-www-form-urlencoded", f"properties=[{','.join(['{}'] * 20_000)}]"),
    ],
)
def test_a_body_of_very_many_values_is_refused_before_they_are_read(client, path, content_type, body):
    answer = client.post(f"/backend/{path}", data=body, content_type=content_type)

    assert_error(answer, 413)
    assert "10,000 values" in answer.json["message"] and len(answer.data) < 1000
