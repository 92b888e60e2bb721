"""How long a client is waited for while it sends a body."""

import time
from socket import socket

PATIENCE_SECONDS = 20.0
LEAST_PACE = 4096  # bytes a second, in the long run


class PacedSocket:
    """The receiving side of a socket: it gives up on a client that sends nothing, or hardly anything, for long.

    Only the time in which nothing is there counts, never that in which the service works on what has come.

    Args:
        sock: the socket.
        patience: seconds for which the client may send nothing.
        pace: bytes a second, by which it earns further patience, never more than at first.
    """

    def __init__(self, sock: socket, patience: float = PATIENCE_SECONDS, pace: float = LEAST_PACE):
        self._sock = sock
        self._patience = self._most_patience = patience
        self._pace = pace
        self.gettimeout, self.settimeout = sock.gettimeout, sock.settimeout

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes that have come, or none if the client has left.

        Raises:
            TimeoutError: if the client has been waited for too long.
        """
        limit = self.gettimeout()
        self.settimeout(max(0.001, self._patience if limit is None else min(limit, self._patience)))
        began = time.monotonic()
        try:
            content = self._sock.recv(size)
        finally:
            self.settimeout(limit)
        earned = len(content) / self._pace - (time.monotonic() - began)
        self._patience = min(self._most_patience, self._patience + earned)
        return content
