"""Clients that send slowly, or not as others do, at a web server with one worker of two threads."""

import resource
import select
import selectors
import socket
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import TConn
from test_api_served import environment, served
from waiting import PATIENCE_SECONDS

from app.api.server import patient_worker
from app.api.server.patient_worker import MOST_TAKING, TOO_MANY, PatientWorker
from app.api.server.request_ends import LARGEST_BODY, LARGEST_HEAD, wanted_bytes

__all__ = ["environment"]

GET = b"GET /backend/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST_GET = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
POST = b"POST /backend/projects HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
SCRIPT = b"/static/swagger/swagger-ui-bundle.js"
BODY = b'{"name": "slow", "task_id": 1}'
LARGE_BODY = POST + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1)
CHUNKED_BODY = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HEAD_OF_BODY = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def send(environment):
    with served(environment | {"WEB_WORKERS": "1", "WEB_THREADS": "2"}) as send:
        yield send


@pytest.fixture
def connect(send, environment):
    with ExitStack() as opened:

        def connect(content: bytes) -> socket.socket:
            address = ("127.0.0.1", int(environment["PORT"]))
            connection = opened.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
            connection.sendall(content)
            return connection

        yield connect


def answer(connection: socket.socket) -> bytes:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    with connection.makefile("rb") as stream:
        return stream.read()


@pytest.mark.parametrize("beginning", [b"", b"GET /back", GET[:-2], b"\r\n\r\n" + GET[:-3], HEAD_OF_BODY + BODY[:5]])
def test_clients_that_do_not_finish_their_requests_keep_nobody_waiting(send, connect, beginning):
    for _ in range(10):
        connect(beginning)

    assert send("/backend/tasks").status == 200


@pytest.mark.parametrize("beginning", [LARGE_BODY, CHUNKED_BODY])
def test_clients_that_send_large_bodies_slowly_keep_a_part_of_the_threads(connect, beginning):
    connections = [connect(beginning) for _ in range(10)]

    refused = [answer(connection) for connection in connections[1:]]
    assert all(text.startswith(b"HTTP/1.1 503 ") and b"too many large or chunked" in text for text in refused)
    assert answer(connect(LAST_GET)).startswith(b"HTTP/1.1 200 OK")

    connections[0].close()
    while b"HTTP/1.1 503 " in (found := answer(connect(CHUNKED_BODY + b"0\r\n\r\n"))):
        continue
    assert b"JSON" in found  # there is a place again, and the empty body is refused for itself


def test_a_client_that_is_gone_before_it_is_refused_costs_no_worker():
    worker = PatientWorker.__new__(PatientWorker)
    worker.poller, worker.nr_conns, worker._leaving_conns = selectors.DefaultSelector(), 1, deque()
    ours, theirs = socket.socketpair()
    theirs.close()

    worker._refuse(SimpleNamespace(sock=ours, close=ours.close), TOO_MANY)

    for key, _ in worker.poller.select(5):
        key.data(key.fileobj)
    assert worker.nr_conns == 0 and not worker._leaving_conns


@pytest.fixture
def taking():
    """A worker's main loop, with the rest of an answer that a client has yet to take, and the client."""
    worker = PatientWorker.__new__(PatientWorker)
    worker.poller, worker.nr_conns, worker.worker_connections = selectors.DefaultSelector(), 1, 10
    worker._awaited_conns, worker.pending_conns = set(), deque()
    worker._taking_conns, worker._leaving_conns = deque(), deque()
    ours, theirs = socket.socketpair()
    conn, answered = TConn(None, ours, None, None), Future()
    conn.unsent = bytearray(4 * 1024**2)
    answered.set_result(False)
    with ours, theirs, worker.poller:
        worker.finish_request(conn, answered)
        yield worker, theirs


def test_a_client_that_is_gone_before_it_has_its_answer_costs_no_place(taking):
    worker, client = taking
    client.close()

    for _ in range(2):  # nothing more can be sent, and it leaves
        for key, _ in worker.poller.select(0):
            key.data(key.fileobj)
    assert worker.nr_conns == 0 and not worker._taking_conns and not worker.poller.get_map()


def test_a_client_that_does_not_take_its_answer_in_time_is_let_go(taking, monkeypatch):
    worker, client = taking
    worker.murder_pending()
    assert worker.nr_conns == 1

    monkeypatch.setattr(patient_worker.time, "monotonic", lambda: worker._taking_conns[0].timeout)
    worker.murder_pending()

    assert worker.nr_conns == 0 and not worker.poller.get_map() and client.recv(1) == b""


def test_a_client_that_sends_hardly_anything_of_a_large_body_is_given_up(connect):
    connection = connect(LARGE_BODY)
    while not select.select([connection], [], [], 0.5)[0]:
        connection.sendall(b" ")  # silence, for which gunicorn alone would give up, there is none

    found = answer(connection)
    assert found.startswith(b"HTTP/1.1 400 ") and b"could not be read to its end" in found


def test_clients_that_do_not_leave_after_the_answer_keep_nobody_waiting(connect):
    connections = [connect(LAST_GET) for _ in range(60)]

    assert all(answer(connection).startswith(b"HTTP/1.1 200 OK") for connection in connections)


@pytest.fixture
def little_taking(connect, environment):
    """Ask three times for the script of the documentation page, 1.7 MB, of which the system keeps one; take nothing."""
    with ExitStack() as opened:

        def ask() -> socket.socket:
            connection = opened.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", int(environment["PORT"])))
            connection.sendall((GET + GET + LAST_GET).replace(b"/backend/tasks", SCRIPT))
            return connection

        yield ask


def test_clients_that_take_their_answers_slowly_keep_nobody_waiting(connect, send, little_taking):
    connections = [little_taking() for _ in range(8)]

    found = answer(connect(LAST_GET))
    assert found.startswith(b"HTTP/1.1 200 OK")

    script = send(SCRIPT.decode()).data
    assert [answer(connection).count(script) for connection in connections] == [3] * 8


def test_of_too_many_slow_takers_the_first_give_way(connect, send, little_taking):
    connections = [little_taking() for _ in range(MOST_TAKING + 3)]
    answer(connect(LAST_GET))  # all are in the main loop now, but for one at most that the other thread answers

    lengths = [len(answer(connection)) for connection in connections]
    assert [length < max(lengths) for length in lengths].count(True) in (2, 3)


def test_of_too_many_idle_connections_the_oldest_give_way(environment):
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    with served(environment | {"WEB_WORKERS": "1"}, preexec_fn=few_files), ExitStack() as opened:
        address = ("127.0.0.1", int(environment["PORT"]))
        connections = [opened.enter_context(socket.create_connection(address, 10)) for _ in range(100)]
        connections[-1].sendall(LAST_GET)

        assert answer(connections[-1]).startswith(b"HTTP/1.1 200 OK")  # idle ones are closed after 20 s alone
        assert answer(connections[0]) == b""


def test_what_comes_in_pieces_is_answered_as_what_comes_at_once(send, connect):
    request = HEAD_OF_BODY + BODY
    connection = connect(b"")
    for start in range(0, len(request), 7):
        connection.sendall(request[start : start + 7])

    assert answer(connection).startswith(b"HTTP/1.1 201 Created\r\n")


def test_requests_that_come_together_are_answered_one_after_another(send, connect):
    connection = connect(GET + GET + LAST_GET[:20])
    connection.sendall(LAST_GET[20:])

    assert answer(connection).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(send, connect):
    connection = connect(HEAD_OF_BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert connection.recv(12) == b"HTTP/1.1 100"
    connection.sendall(BODY)

    assert b"HTTP/1.1 201 Created\r\n" in answer(connection)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /backend/tasks HTTP/1.1\r\nX: " + b"a" * LARGEST_HEAD, 431),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET /backend/tasks HTTP/1.1\nHost: 127.0.0.1\n\n", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_what_can_be_no_request_is_refused_before_its_end(send, connect, request_text, status):
    found = answer(connect(request_text))

    assert found.startswith(b"HTTP/1.1 %d " % status) and b'"error":' in found
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in found and b"\r\nCache-Control: no-store\r\n" in found


@pytest.mark.parametrize(
    ("received", "wanted"),
    [
        (GET[:-1], None),
        (GET, len(GET)),
        (b"\r\n" + GET + GET, len(GET) + 2),
        (HEAD_OF_BODY, len(HEAD_OF_BODY + BODY)),
        (HEAD_OF_BODY.lower(), len(HEAD_OF_BODY + BODY)),
        (LARGE_BODY, 0),
        (POST + b"Content-Length: 1073741824\r\n\r\n", 0),
        (POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000), 0),
        (CHUNKED_BODY, 0),
        (POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 0),
        (b"GET / HTTP/1.1\nHost: x", 0),
    ],
)
def test_a_thread_takes_over_when_it_would_not_have_to_wait(received, wanted):
    assert wanted_bytes(received) == wanted
