"""Answers to requests that gunicorn itself refuses, such as one with an endless address: not as HTML either."""

import socket

import orjson
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]

from app.api.errors import error_body
from app.api.middleware.headers import HARDENING


def write_refusal(client: socket.socket, code: int, reason: str, message: str) -> None:
    """Write the one error answer to a connection; takes the place of `gunicorn.util.write_error`."""
    content = orjson.dumps(error_body(code, f"{message.rstrip('.')}."), option=orjson.OPT_APPEND_NEWLINE)
    head = (
        f"HTTP/1.1 {code} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HARDENING.items())
    )
    write_nonblock(client, head.encode("latin-1") + b"\r\n" + content)
