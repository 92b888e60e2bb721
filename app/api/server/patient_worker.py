"""How the web server serves its clients: one that sends or takes slowly costs a connection, and no thread."""

import errno
import selectors
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from socket import SHUT_WR, socket

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from app.api.server.paced_socket import PATIENCE_SECONDS, PacedSocket
from app.api.server.request_ends import LARGEST_HEAD, wanted_bytes

TAKING_SECONDS = 60.0  # that a client has to take the rest of an answer: `MOST_UNSENT` at 35 KB a second
MOST_TAKING = 32  # clients of a worker; what is kept for them is memory
LEAVING_SECONDS = 2.0  # that a client has to leave after its answer
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
    thread has to wait for keep a quarter of the threads at most. Those who take their answer slowly, and those who do
    not leave after it, keep none; the original waits for them in a thread, and in its main loop. Where connections
    become scarce, the client that has been waited for longest gives way to the next one. It builds on what is inside
    gunicorn 27.0, so setup.cfg asks for that.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self._most_awaited = max(1, self.cfg.threads // 4)
        self._awaited_conns: set[TConn] = set()
        self._taking_conns: deque[TConn] = deque()
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
        """Answer a request; give up on a client that stops sending or taking while a thread waits for it."""
        sock = conn.sock
        sock.settimeout(PATIENCE_SECONDS)
        req.unreader.sock = conn.sock = paced = PacedSocket(sock)
        try:
            return super().handle_request(req, conn)
        finally:
            conn.sock, conn.unsent = sock, paced.unsent

    def finish_request(self, conn: TConn, fs: Future) -> None:
        """Send the rest of an answer; then wait for the next request of its connection, or let it go."""
        self._awaited_conns.discard(conn)
        if conn.unsent:
            self._wait(self._taking_conns, conn, TAKING_SECONDS, selectors.EVENT_WRITE, partial(self._send, conn, fs))
        elif fs.cancelled() or fs.exception() or not fs.result():
            self._let_go(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close the connections whose time to send a request, to take an answer, or to leave, is over.

        It is for those too whose places others need, for here no event is left of a connection that is closed.
        """
        while self.nr_conns >= self.worker_connections and self.pending_conns:
            self._close(self.pending_conns, self.pending_conns[0])
        while len(self._taking_conns) > MOST_TAKING:
            self._close(self._taking_conns, self._taking_conns[0])
        for conns in (self.pending_conns, self._taking_conns, self._leaving_conns):
            while conns and conns[0].timeout <= time.monotonic():
                self._close(conns, conns[0])

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _receive(self, conn: TConn, received: bytes = b"") -> None:
        conn.sock.setblocking(False)
        conn.received, conn.wanted_bytes, conn.unsent = bytearray(), None, bytearray()
        if _takes(conn, received):
            self._hand_over(conn)
        else:
            self._wait(self.pending_conns, conn, PATIENCE_SECONDS, selectors.EVENT_READ, partial(self._take, conn))

    def _take(self, conn: TConn, client: socket) -> None:
        """Take what has come; with the end of the request, or of the connection, leave the rest to a thread."""
        try:
            content = client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if _takes(conn, content) or not content:
            self._end_wait(self.pending_conns, conn)
            self._hand_over(conn)

    def _send(self, conn: TConn, fs: Future, client: socket) -> None:
        """Send what the client takes; with the end of the answer, go on with its connection."""
        try:
            del conn.unsent[: client.send(conn.unsent)]
        except BlockingIOError:
            return
        except OSError:  # the client has gone, as whatever is next will find
            conn.unsent.clear()
        if not conn.unsent:
            self._end_wait(self._taking_conns, conn)
            self.finish_request(conn, fs)

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
        try:
            conn.sock.shutdown(SHUT_WR)
            self._wait(self._leaving_conns, conn, LEAVING_SECONDS, selectors.EVENT_READ, partial(self._drop, conn))
        except (OSError, ValueError):  # it is gone already
            self._close(self._leaving_conns, conn)

    def _drop(self, conn: TConn, client: socket) -> None:
        """Drop what still comes after the answer."""
        try:
            if client.recv(READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(self._leaving_conns, conn)

    def _wait(self, conns: deque[TConn], conn: TConn, seconds: float, event: int, call: Callable) -> None:
        """Let the main loop call back when the client has sent or taken something; `murder_pending` ends the wait."""
        conn.timeout = time.monotonic() + seconds
        conns.append(conn)
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, event, call)

    def _end_wait(self, conns: deque[TConn], conn: TConn) -> None:
        conns.remove(conn)
        self.poller.unregister(conn.sock)

    def _close(self, conns: deque[TConn], conn: TConn) -> None:
        with suppress(KeyError, ValueError, OSError):  # it was never waited for
            self._end_wait(conns, conn)
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
