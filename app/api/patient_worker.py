"""How the web server receives requests: a client that sends slowly costs a connection, and no thread."""

import errno
import re
import selectors
import time
from functools import partial
from socket import socket

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

RECEIVING_SECONDS = 20.0
READ_BYTES = 65536
LARGEST_LINE = 8190  # beyond it gunicorn refuses at once
LARGEST_HEAD = 32 * 1024
LARGEST_BODY = 256 * 1024  # of one that is waited for; the view that knows what to do with a larger one reads it
END_OF_HEAD = b"\r\n\r\n"
BODY_BYTES = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
OPEN_END = re.compile(rb"\r\n(expect|transfer-encoding)[ \t]*:", re.IGNORECASE)
TOO_LARGE = (431, "Request Header Fields Too Large", f"The head of the request exceeds {LARGEST_HEAD} bytes.")


class PatientWorker(ThreadWorker):
    """Gunicorn's worker with threads, whose main loop receives each request and gives it to a thread when it is there.

    In the original a thread waits for as long as a client takes to send a head, so that a few slow clients keep all
    threads from everybody else. Here they only keep connections, for `RECEIVING_SECONDS` at most. It builds on what
    is inside gunicorn 27.0, so setup.cfg asks for that.
    """

    def accept(self, listener: socket) -> None:
        """Accept a connection and wait for its first request."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        self._receive(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: TConn, client: socket) -> None:
        """Wait for the next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Go on with a connection on which more has come than the request that was answered."""
        self._receive(conn, conn.parser.unreader.take_buffered())

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _receive(self, conn: TConn, received: bytes = b"") -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + RECEIVING_SECONDS
        conn.received, conn.wanted_bytes = bytearray(), None
        if _takes(conn, received):
            self._hand_over(conn)
            return
        self.pending_conns.append(conn)  # gunicorn closes those whose time is over
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._take, conn))

    def _take(self, conn: TConn, client: socket) -> None:
        """Take what has come; with the end of the request, or of the connection, leave the rest to a thread."""
        try:
            content = client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if _takes(conn, content) or not content:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._hand_over(conn)

    def _hand_over(self, conn: TConn) -> None:
        if conn.wanted_bytes is None and len(conn.received) > LARGEST_HEAD:
            util.write_error(conn.sock, *TOO_LARGE)
            self.nr_conns -= 1
            conn.close()
            return
        conn.init()
        conn.parser.unreader.unread(bytes(conn.received))
        del conn.received
        super().enqueue_req(conn)


def _takes(conn: TConn, content: bytes) -> bool:
    """Keep what has come of a request; tell whether that is all that is waited for."""
    conn.received += content
    if conn.wanted_bytes is None:
        conn.wanted_bytes = wanted_bytes(bytes(conn.received))
    if conn.wanted_bytes is None:
        return len(conn.received) > LARGEST_HEAD
    return len(conn.received) >= conn.wanted_bytes


def wanted_bytes(received: bytes) -> int | None:
    """Return how much of a request has to be there for a thread to read it; None while its head has not ended.

    Of a body that is large, that comes in chunks, or only when the server has said that it may, nothing is waited for.
    What is wrong with a request is for gunicorn to say, which it does at once.
    """
    text = received.lstrip(b"\r\n")
    line, end, _ = text.partition(b"\n")
    if (end and not line.endswith(b"\r")) or (not end and len(text) > LARGEST_LINE):
        return 0
    head, end, _ = text.partition(END_OF_HEAD)
    if not end:
        return None
    found = BODY_BYTES.search(head + end)
    body = int(found[1]) if found else 0
    if body > LARGEST_BODY or OPEN_END.search(head):
        return 0
    return len(received) - len(text) + len(head + end) + body
