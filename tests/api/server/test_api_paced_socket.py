import socket
import time
from threading import Event, Thread

import pytest

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


def test_a_client_that_sends_enough_is_waited_for_longer_than_at_first(ends):
    paced = PacedSocket(ends[0], patience=0.5, pace=10)
    for _ in range(4):  # waits for 1.2 s, and earns 0.5 s again with each piece
        timer = Thread(target=lambda: (time.sleep(0.3), ends[1].sendall(b"a" * 50)))
        timer.start()
        assert paced.recv(100) == b"a" * 50
        timer.join()


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
