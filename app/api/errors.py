"""Turn every exception into the one error answer; no other module knows which status an exception has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestedRangeNotSatisfiable
from werkzeug.http import HTTP_STATUS_CODES

from app.errors import (
    Busy,
    Conflict,
    Forbidden,
    InvalidInput,
    MalformedRequest,
    NotAuthenticated,
    NotFound,
    Problem,
    QueueUnavailable,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    ToolkitError,
    TooManyRequests,
)
from app.files import NO_ROOM, unavailable

STATUS_CODES: dict[type[ToolkitError], int] = {
    MalformedRequest: 400,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    InvalidInput: 422,
    TooManyRequests: 429,
    Busy: 503,
    QueueUnavailable: 503,
    StorageUnavailable: 503,
    StorageFull: 507,
}
CHALLENGE = 'Bearer realm="DeepHealth backend"'
SENTENCES = {
    404: "There is nothing at {path}; /backend/docs lists what there is.",
    405: "{method} does not work on {path}; the Allow header lists what does.",
    416: "The file has no bytes in the range that was asked for.",
    413: "The body is larger than the {limit} bytes, or has more parts, than this service accepts.",
    500: "The service met an error of its own; its log says which.",
    507: "The disk is full; make room, then send the request again.",
}


def register_error_handlers(app: Flask) -> None:
    """Let this module answer whatever is raised while a request is served."""
    app.register_error_handler(ToolkitError, answer_toolkit_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    app.register_error_handler(OSError, answer_system_error)


def answer_toolkit_error(error: ToolkitError) -> Response:
    """Answer one of the project's own exceptions; one without a status is a fault of the service."""
    code = next((STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES), None)
    if code is None:
        current_app.logger.exception("%s %s: unexpected error", request.method, request.path)
        return error_response(500, SENTENCES[500])
    if code >= 500:
        current_app.logger.warning("%s %s: %s", request.method, request.path, error.message)
    response = error_response(code, error.message, error.errors, error.places)
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_seconds)
    return response


def answer_system_error(error: OSError) -> Response:
    """Answer what the system refused and nobody expected there: a full disk or an odd file is no fault of ours."""
    if error.errno in NO_ROOM:
        current_app.logger.warning("%s %s: %s", request.method, request.path, error)
        return error_response(507, SENTENCES[507])
    if isinstance(error.filename, str):
        return answer_toolkit_error(unavailable(Path(error.filename), "used", error))
    current_app.logger.exception("%s %s: unexpected error", request.method, request.path)
    return error_response(500, SENTENCES[500])


def answer_http_exception(error: HTTPException) -> Response:
    """Answer what Flask and Werkzeug raise, an exception that nobody caught (500) included."""
    code = error.code or 500
    response = error_response(code, _sentence(code) or error.description or HTTP_STATUS_CODES[code])
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if isinstance(error, RequestedRangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.length}"
    return response


def _sentence(code: int) -> str | None:
    """Return our own words for a status, where Werkzeug's would not tell a person what to do."""
    limit = request.max_content_length
    words = SENTENCES.get(code)
    return words and words.format(path=request.path, method=request.method, limit=limit)


def error_response(
    code: int,
    message: str,
    errors: Mapping[str, Sequence[str]] | None = None,
    places: Mapping[str, Sequence[Problem]] | None = None,
) -> Response:
    """Return the one error answer; faults of a text are in it once more, each with its place."""
    body = error_body(code, message, errors)
    if places:
        body["problems"] = {where: [asdict(problem) for problem in found] for where, found in places.items()}
    response = jsonify(body)
    response.status_code = code
    return response


def error_body(code: int, message: str, errors: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """Return the content of an error answer; D3.5's clients read `error`, which repeats the message."""
    status = HTTP_STATUS_CODES[code]
    return {"code": code, "status": status, "message": message, "errors": dict(errors or {}), "error": message}


def faults_by_place(messages: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Flatten marshmallow's nested messages into pairs such as `("properties.0.name", ["Not a text."])`."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            step = "" if key == "_schema" else str(key)
            yield from faults_by_place(inner, ".".join(part for part in (place, step) if part))
    else:
        yield place or "body", [str(message) for message in messages]
