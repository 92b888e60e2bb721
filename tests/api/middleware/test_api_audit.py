"""What is noted of requests, and what is not."""

import json

from api_sandbox import ABSENT_PROCESS

from app.access.tokens import stored_tokens


def noted(settings):
    path = settings.storage_dir / "audit.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_writing_request_leaves_a_line_and_no_reading_one(client, settings, data_root):
    body = {"name": "Tiny", "task_id": 1, "path": str(data_root / "tiny.yml")}
    client.get("/backend/projects")
    client.options("/backend/projects")
    client.post("/backend/projects", json={"name": "a", "task_id": 1}, headers={"X-Real-IP": "::1"})
    client.post("/backend/projects", json={"name": "a", "task_id": 1})
    client.post("/backend/datasets", json=body)
    answer = client.post("/backend/train", json={"project_id": 1, "model_id": 1, "dataset_id": 3})
    client.post("/backend/stopProcess", json={"process_id": ABSENT_PROCESS})
    client.post("/backend/projects", data="{", content_type="application/json")
    client.delete("/backend/projects/1")

    lines = noted(settings)

    assert [(line["method"], line["path"], line["status"], line["id"]) for line in lines] == [
        ("POST", "/backend/projects", 401, None),
        ("POST", "/backend/projects", 201, 1),
        ("POST", "/backend/datasets", 201, 1),
        ("POST", "/backend/train", answer.status_code, answer.json.get("process_id")),
        ("POST", "/backend/stopProcess", 404, None),
        ("POST", "/backend/projects", 400, None),
        ("DELETE", "/backend/projects/1", 204, None),
    ]
    assert lines[0]["forwarded_for"] == "::1" and lines[1]["address"] == "127.0.0.1" and lines[1]["who"] is None


def test_the_line_says_who_and_no_secret(client, settings, caplog):
    token = stored_tokens(settings).create("anna")
    headers = {"Authorization": f"Bearer {token}"}
    client.post("/backend/projects?token=" + token, json={"name": token, "task_id": 1}, headers=headers)
    client.post("/backend/session", json={"token": token})
    client.post("/backend/projects", json={"name": "b", "task_id": 1})
    client.set_cookie("dht_token_8000", "")

    assert [line["who"] for line in noted(settings)] == ["anna", None, "anna"]
    assert token not in (settings.storage_dir / "audit.log").read_text() and token not in caplog.text


def test_a_log_that_cannot_be_written_changes_no_answer(client, settings, caplog):
    (settings.storage_dir / "audit.log").mkdir()

    assert client.post("/backend/projects", json={"name": "a", "task_id": 1}).status_code == 201
    assert "The audit log cannot be written" in caplog.text
