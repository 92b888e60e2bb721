"""How long a client is waited for while it sends a body, or takes an answer."""

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any

PATIENCE_SECONDS = 20.0
LEAST_PACE = 4096  # bytes a second, in the long run
MOST_UNSENT = 2 * 1024**2  # bytes; most answers are smaller


class PacedSocket:
    """A client's socket, as the thread sees it that answers the client.

    It gives up on a client that sends or takes nothing, or hardly anything, for long. Only the time in which the client
    is waited for counts, never that in which the service works on what has come. What a client does not take at once of
    an answer is kept, for others to send it when the thread has gone; only for larger answers the client is waited for.

    Args:
        sock: the socket.
        patience: seconds for which the client may send or take nothing.
        pace: bytes a second, by which it earns further patience, never more than at first.
        most_unsent: bytes that are kept.
    """

    def __init__(
        self,
        sock: socket,
        patience: float = PATIENCE_SECONDS,
        pace: float = LEAST_PACE,
        most_unsent: int = MOST_UNSENT,
    ):
        self._sock = sock
        self._patience = self._most_patience = patience
        self._pace = pace
        self._most_unsent = most_unsent
        self.unsent = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes that have come, or none if the client has left.

        Raises:
            TimeoutError: if the client has been waited for too long.
        """
        content = self._waiting(self._sock.recv, size)
        self._earn(len(content))
        return content

    def sendall(self, content: bytes) -> None:
        """Send what the client takes at once, and what is too much to be kept; the rest is in `unsent` then.

        Raises:
            BrokenPipeError: if the client has been waited for too long; gunicorn makes no fuss about this one.
        """
        self.unsent += content
        with suppress(BlockingIOError):
            self._sent(self._within(0, self._sock.send, self.unsent))
        while len(self.unsent) > self._most_unsent:
            try:
                self._sent(self._waiting(self._sock.send, self.unsent))
            except TimeoutError as error:
                self.unsent.clear()
                raise BrokenPipeError(errno.EPIPE, "The client takes too little of its answer.") from error

    def close(self) -> None:
        """Close it, as gunicorn does where an answer breaks off; then there is nobody to send the rest to."""
        self.unsent.clear()
        self._sock.close()

    def _sent(self, count: int) -> None:
        del self.unsent[:count]
        self._earn(count)

    def _earn(self, count: int) -> None:
        self._patience = min(self._most_patience, self._patience + count / self._pace)

    def _waiting(self, call: Callable, argument: Any) -> Any:
        """Call what waits for the client; the time that it takes is lost."""
        limit = self._sock.gettimeout()
        began = time.monotonic()
        try:
            return self._within(
                max(0.001, self._patience if limit is None else min(limit, self._patience)), call, argument
            )
        finally:
            self._patience -= time.monotonic() - began

    def _within(self, seconds: float, call: Callable, argument: Any) -> Any:
        limit = self._sock.gettimeout()
        self._sock.settimeout(seconds)
        try:
            return call(argument)
        finally:
            self._sock.settimeout(limit)
