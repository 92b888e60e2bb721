"""How the web server receives requests: a client that sends slowly costs a connection, and no thread."""

import errno
import selectors
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from socket import SHUT_WR, socket

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from app.api.server.paced_socket import PATIENCE_SECONDS, PacedSocket
from app.api.server.request_ends import LARGEST_HEAD, wanted_bytes

LEAVING_SECONDS = 2.0  # that a client has to take an answer and leave
READ_BYTES = 65536
TOO_MANY = (
    503,
    "Service Unavailable",
    "The service receives too many large or chunked bodies at this moment; send the request again in a minute.",
)
TOO_LARGE = (431, "Request Header Fields Too Large", f"The head of the request exceeds {LARGEST_HEAD} bytes.")


class PatientWorker(ThreadWorker):
    """Gunicorn's worker with threads, whose main loop receives each request and gives it to a thread when it is there.

    In the original a thread waits for as long as a client takes to send a head, so that a few slow clients keep all
    threads from everybody else. Here they only keep connections, for `PATIENCE_SECONDS` at most. Those whose bodies a
    thread has to wait for keep a quarter of the threads at most, and those who do not leave after their answer none;
    the original waits for each of them in its main loop. It builds on what is inside gunicorn 27.0, so setup.cfg asks
    for that.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self._most_awaited = max(1, self.cfg.threads // 4)
        self._awaited_conns: set[TConn] = set()
        self._leaving_conns: deque[TConn] = deque()

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

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """Answer a request; give up on a client that stops sending or taking, for each one holds a thread."""
        conn.sock.settimeout(PATIENCE_SECONDS)
        req.unreader.sock = PacedSocket(conn.sock)
        return super().handle_request(req, conn)

    def finish_request(self, conn: TConn, fs: Future) -> None:
        """Wait for the next request of a connection whose request was answered, or let it go."""
        self._awaited_conns.discard(conn)
        if fs.cancelled() or fs.exception() or not fs.result():
            self._let_go(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close the connections whose time to send a request, or to leave, is over."""
        super().murder_pending()
        while self._leaving_conns and self._leaving_conns[0].timeout <= time.monotonic():
            self._close(self._leaving_conns[0])

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _receive(self, conn: TConn, received: bytes = b"") -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + PATIENCE_SECONDS
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
            self._refuse(conn, TOO_LARGE)
            return
        if conn.wanted_bytes == 0:
            if len(self._awaited_conns) >= self._most_awaited:
                self._refuse(conn, TOO_MANY)
                return
            self._awaited_conns.add(conn)
        conn.init()
        conn.parser.unreader.unread(bytes(conn.received))
        del conn.received
        super().enqueue_req(conn)

    def _refuse(self, conn: TConn, answer: tuple[int, str, str]) -> None:
        with suppress(OSError):  # the client has gone, and its connection with it
            util.write_error(conn.sock, *answer)
        self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        """Close a connection when its client has: one that is closed in the middle of sending loses the answer."""
        conn.timeout = time.monotonic() + LEAVING_SECONDS
        self._leaving_conns.append(conn)
        try:
            conn.sock.shutdown(SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drop, conn))
        except (OSError, ValueError):  # it is gone already
            self._close(conn)

    def _drop(self, conn: TConn, client: socket) -> None:
        """Drop what still comes after the answer."""
        try:
            if client.recv(READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self._leaving_conns.remove(conn)
        with suppress(KeyError, ValueError, OSError):  # it was never waited for
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


def _takes(conn: TConn, content: bytes) -> bool:
    """Keep what has come of a request; tell whether that is all that is waited for."""
    conn.received += content
    if conn.wanted_bytes is None:
        conn.wanted_bytes = wanted_bytes(bytes(conn.received))
    if conn.wanted_bytes is None:
        return len(conn.received) > LARGEST_HEAD
    return len(conn.received) >= conn.wanted_bytes
