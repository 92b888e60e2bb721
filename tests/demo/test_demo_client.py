"""The client against a small server that answers as the service may."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from app.demo.client import Client
from app.errors import JobFailure


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/backend/broken":
            self.answer(500, b"<html>")
        elif self.path == "/backend/absent":
            self.answer(404, json.dumps({"message": "There is no such thing."}).encode())
        else:
            self.answer(200, json.dumps({"path": self.path}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, json.dumps({"body": body, "type": self.headers["Content-Type"]}).encode())

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # no proxy leads to the service
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def test_get_sends_its_query(client):
    assert client.get("/status", process_id="1 2") == {"path": "/backend/status?process_id=1+2"}
    assert client.get("/models") == {"path": "/backend/models"}


def test_post_sends_json_with_any_field_name(client):
    answer = client.post("/datasets", path="/a.yml", task_id=1)

    assert answer == {"body": {"path": "/a.yml", "task_id": 1}, "type": "application/json"}


@pytest.mark.parametrize(
    ("path", "message"),
    [("/absent", "answered 404: There is no such thing"), ("/broken", "answered 500: <html>")],
)
def test_a_refusal_becomes_a_sentence(client, path, message):
    with pytest.raises(JobFailure, match=message):
        client.get(path)


def test_a_silent_service_becomes_a_sentence():
    with pytest.raises(JobFailure, match="does not answer"):
        Client("http://127.0.0.1:1").get("/models")
