import socket
import time
from contextlib import suppress
from threading import Event, Thread

import pytest
from gunicorn.util import close_graceful

from app.api.server import paced_socket
from app.api.server.paced_socket import PacedSocket


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_client_that_sends_nothing_is_given_up(ends):
    with pytest.raises(TimeoutError):
        PacedSocket(ends[0], patience=0.05).recv(10)


def test_a_client_that_sends_hardly_anything_is_given_up(ends):
    is_over = Event()

    def trickle():
        while not is_over.wait(0.02):
            ends[1].sendall(b"a")

    client = Thread(target=trickle)
    client.start()
    paced = PacedSocket(ends[0], patience=0.3, pace=1000)
    try:
        with pytest.raises(TimeoutError):
            while paced.recv(10):
                continue
    finally:
        is_over.set()
        client.join()


class SlowSocket:
    """The end of a socket at which each piece comes after some seconds, by a clock of its own."""

    def __init__(self, piece: bytes, seconds: float):
        self.piece, self.seconds, self.now, self.timeout = piece, seconds, 0.0, None

    def monotonic(self):
        return self.now

    def gettimeout(self):
        return self.timeout

    def settimeout(self, timeout):
        self.timeout = timeout

    def recv(self, size):
        self.now += min(self.seconds, self.timeout)
        if self.timeout < self.seconds:
            raise TimeoutError
        return self.piece


@pytest.mark.parametrize(
    ("piece", "pieces"), [(b"a" * 50, 100), (b"a" * 5, 2), (b"a", 1)], ids=["enough", "too little", "hardly anything"]
)
def test_a_client_is_waited_for_longer_the_more_it_sends(monkeypatch, piece, pieces):
    slow = SlowSocket(piece, seconds=12)
    monkeypatch.setattr(paced_socket, "time", slow)
    paced = PacedSocket(slow, patience=20, pace=1)  # of which each piece costs 12 and earns as many as it has bytes
    received = 0
    with suppress(TimeoutError):
        while received < 100:
            assert paced.recv(100) == piece
            received += 1
    assert received == pieces


def test_the_time_in_which_the_service_works_does_not_count(ends):
    paced = PacedSocket(ends[0], patience=0.1, pace=1e9)
    ends[1].sendall(b"abc")
    assert paced.recv(1) == b"a"
    time.sleep(0.2)  # the service's work
    assert paced.recv(2) == b"bc"


def test_a_shorter_limit_of_the_socket_holds_and_stays(ends):
    paced = PacedSocket(ends[0], patience=3600)
    paced.settimeout(0.05)
    with pytest.raises(TimeoutError):
        paced.recv(1)
    assert ends[0].gettimeout() == 0.05


def test_what_a_client_does_not_take_at_once_is_kept(ends):
    content = bytes(range(256)) * 16384
    paced = PacedSocket(ends[0], patience=3600, most_unsent=len(content))

    paced.sendall(content[:100])
    paced.sendall(content[100:])

    ends[0].close()
    with ends[1].makefile("rb") as stream:
        sent = stream.read()
    assert 0 < len(sent) < len(content) and sent + paced.unsent == content


def test_for_what_is_too_much_to_be_kept_the_client_is_waited_for(ends):
    content = bytes(range(256)) * 16384
    taken = bytearray()

    def take():
        while part := ends[1].recv(65536):
            taken.extend(part)

    client = Thread(target=take)
    client.start()
    paced = PacedSocket(ends[0], patience=3600, most_unsent=1000)
    paced.sendall(content)
    ends[0].shutdown(socket.SHUT_WR)
    client.join()

    assert len(paced.unsent) <= 1000 and taken + paced.unsent == content


def test_a_client_that_takes_nothing_of_what_is_too_much_is_given_up(ends):
    paced = PacedSocket(ends[0], patience=0.05, most_unsent=1000)
    with pytest.raises(BrokenPipeError):
        paced.sendall(bytes(4 * 1024**2))
    assert not paced.unsent


def test_nothing_is_kept_of_an_answer_that_breaks_off(ends):
    paced = PacedSocket(ends[0])
    paced.sendall(bytes(2**20))
    assert paced.unsent
    ends[1].close()

    close_graceful(paced)  # as gunicorn does, and the main loop of a web worker could send nothing more

    assert not paced.unsent and ends[0].fileno() < 0
