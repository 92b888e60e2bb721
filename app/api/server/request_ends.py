"""Where a request ends of which only a beginning may be there."""

import re

LARGEST_LINE = 8190  # beyond it gunicorn refuses at once
LARGEST_HEAD = 32 * 1024
LARGEST_BODY = 256 * 1024  # of one that is waited for; the view that knows what to do with a larger one reads it
MOST_DIGITS = 9  # of a body's length, for Python reads no number of thousands of digits
END_OF_HEAD = b"\r\n\r\n"
BODY_BYTES = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
OPEN_END = re.compile(rb"\r\n(expect|transfer-encoding)[ \t]*:", re.IGNORECASE)


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
    digits = found[1] if found else b"0"
    if len(digits) > MOST_DIGITS or int(digits) > LARGEST_BODY or OPEN_END.search(head):
        return 0
    return len(received) - len(text) + len(head + end) + int(digits)
