"""How large a request's body may be, and what becomes of one that is not read to its end."""

from contextlib import suppress
from functools import partial
from typing import IO

from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from app.errors import MalformedRequest

DRAINED_BYTES = 256 * 1024**2
CHUNK_BYTES = 1024**2
# The endpoints that take files as large as `max_upload_bytes`.
UPLOADS = {"datasets.create_dataset", "weights.upload_weights"}


def limit_bodies(app: Flask, max_body_bytes: int, max_upload_bytes: int) -> None:
    """Refuse larger bodies with 413, in a way that lets the client read the answer."""
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = max_body_bytes  # an image may come as base64 in a form's field

    @app.before_request
    def read_whole_body() -> None:
        is_chunked = bool(request.headers.get("Transfer-Encoding"))
        if request.endpoint in UPLOADS and request.mimetype == "multipart/form-data" and not is_chunked:
            # Such a file goes to the disk while it is read, never into memory whole; an archive tells if it is cut off.
            request.max_content_length = max(max_upload_bytes, max_body_bytes)
            return
        # Read once, here: nothing may act on a part of a body that is cut off, malformed or endless.
        try:
            received = len(request.get_data())
        except Exception as error:  # what a server raises for a body it cannot read has no base class in common
            if isinstance(error, HTTPException) and not isinstance(error, ClientDisconnected):
                raise
            raise MalformedRequest("The body could not be read to its end; send the request again.") from error
        if received < (request.content_length or 0):
            raise MalformedRequest(f"The body ended after {received} of {request.content_length} bytes; send it again.")
        # Of a body that does not tell its length, Werkzeug reads up to the limit and drops the rest without a word.
        if is_chunked and received >= max_body_bytes:
            raise RequestEntityTooLarge

    @app.after_request
    def drain_later(response: Response) -> Response:
        # A connection that is closed on a client in the middle of its upload is a "broken pipe" there, not a 413. The
        # answer goes first: some clients wait for it before they send anything.
        if response.status_code == 413:
            response.headers["Connection"] = "close"
            response.call_on_close(partial(_drain, request.environ["wsgi.input"]))
        return response


def _drain(stream: IO[bytes]) -> None:
    left = DRAINED_BYTES
    with suppress(Exception):  # the client may leave meanwhile; nobody is there to be told
        while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
