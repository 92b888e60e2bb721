"""Processes as streams of server-sent events."""

import json
import shutil

import pytest
from api_sandbox import ABSENT_PROCESS, assert_error
from test_api_process_metrics import ROWS, write_rows

from app.access.tokens import stored_tokens
from app.jobs.processes.events import follow
from app.runs.state import FINISHED
from app.runs.writer import write_final_state


def read(text):
    """Read a stream as a browser does: (name, id, data) of each event."""
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            events.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return events


@pytest.fixture
def address(training):
    return f"/backend/processes/{training['process_id']}/events"


def finish(toolkit, training):
    write_rows(toolkit, training["weight_id"])
    write_final_state(toolkit.storage.run(training["process_id"]), FINISHED, "Finished 2/2 epochs")


def test_a_stream_has_the_epochs_then_the_status_and_ends(client, toolkit, training, address):
    finish(toolkit, training)
    answer = client.get(address)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache, private"
    events = read(answer.text)
    assert [(name, number) for name, number, _ in events] == [
        ("epoch", "1"), ("epoch", "2"), ("epoch", "3"), ("status", None), ("end", None),
    ]  # fmt: skip
    assert events[0][2] == ROWS[0]
    assert events[-1][2] == client.get(f"/backend/status?process_id={training['process_id']}").json["status"]


def test_a_client_that_comes_back_is_sent_the_rows_that_it_lacks(client, toolkit, training, address):
    finish(toolkit, training)
    events = read(client.get(address, headers={"Last-Event-ID": "2"}).text)
    assert next((name, number) for name, number, _ in events) == ("epoch", "3")
    assert len(read(client.get(address, headers={"Last-Event-ID": "nonsense"}).text)) == 5


def test_a_stream_tells_each_change_once(toolkit, training):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            write_rows(toolkit, training["weight_id"], ROWS[:1])
        if len(pauses) == 15:
            finish(toolkit, training)
        return False

    names = [event.name for event in follow(toolkit, training["process_id"], 0, pause)]
    assert names == ["status", "epoch", "silence", "epoch", "epoch", "status", "end"]


def test_a_stream_ends_when_its_worker_leaves(toolkit, training):
    assert [event.name for event in follow(toolkit, training["process_id"], 0, lambda _: True)] == ["status"]


@pytest.mark.parametrize("sent_as", ["header", "cookie"])
def test_a_stream_ends_when_its_token_is_revoked(client, settings, address, sent_as):
    tokens = stored_tokens(settings)
    token = tokens.create("anna")
    if sent_as == "cookie":
        assert client.post("/backend/session", json={"token": token}).status_code == 200
    headers = {"Authorization": f"Bearer {token}"} if sent_as == "header" else {}
    stream = client.get(address, headers=headers).iter_encoded()
    assert b"retry" in next(stream) and b"event: status" in next(stream)

    tokens.revoke("anna")

    assert list(stream) == []


def test_a_stream_that_needed_no_token_ends_when_there_is_one(client, settings, address):
    stream = client.get(address).iter_encoded()
    assert b"retry" in next(stream) and b"event: status" in next(stream)

    stored_tokens(settings).create("anna")

    assert list(stream) == []


@pytest.mark.parametrize("fault", ["deleted", "damaged"])
def test_a_stream_ends_when_its_process_is_gone(client, toolkit, training, address, fault):
    stream = client.get(address).iter_encoded()
    assert b"retry" in next(stream) and b"event: status" in next(stream)

    run = toolkit.storage.run(training["process_id"])
    if fault == "deleted":
        shutil.rmtree(run.path)
    else:
        run.state.write_text("{")

    assert list(stream) == []


def test_streams_leave_threads_for_other_requests(client, settings, address):
    streams = [client.get(address) for _ in range(settings.web_threads // 4)]
    refused = client.get(address)
    assert_error(refused, 503)
    assert "/status" in refused.json["message"]
    streams.pop().close()
    again = client.get(address)
    assert again.status_code == 200
    for stream in [*streams, again]:
        stream.close()


def test_a_head_request_keeps_no_place(client, settings, address):
    for _ in range(settings.web_threads):
        answer = client.head(address)
        assert answer.status_code == 200
        answer.close()  # as every server does


def test_unknown_processes(client):
    assert_error(client.get(f"/backend/processes/{ABSENT_PROCESS}/events"), 404)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_streams_that_have_ended_keep_no_others_out(client, toolkit, training, address, method):
    finish(toolkit, training)
    assert {client.open(address, method=method, buffered=True).status_code for _ in range(30)} == {200}
