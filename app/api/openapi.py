"""The OpenAPI document at /backend/openapi.json: what it says beside the operations."""

from http import HTTPStatus

import flask_smorest
from flask_smorest.pagination import PaginationMetadataSchema

from app.api.errors import error_body
from app.api.middleware.gate import NO_TOKEN
from app.api.schemas.errors import ErrorSchema

OPENAPI_CONFIG = {
    "API_TITLE": "DeepHealth backend",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/backend",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "Train and run deep-learning models on medical images.\n\n"
            "A trailing slash is optional on every path. Bodies are JSON or forms. Lists are arrays ordered by id.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{}, {"token": []}],
    },
}
EXAMPLE_ERRORS = {
    400: error_body(
        400, "model_id: Missing data for required field.", {"model_id": ["Missing data for required field."]}
    ),
    401: error_body(401, NO_TOKEN),
    403: error_body(403, "Pages of 'http://elsewhere.example' may not change anything here."),
    404: error_body(404, "There is no project 7."),
    409: error_body(409, "Process ec63b923-850a-4d1d-aa24-e9d54a942c1b has already finished."),
    413: error_body(413, "The body is larger than the 67108864 bytes that this service accepts."),
    415: error_body(415, "The body is text/plain; application/json is expected."),
    416: error_body(416, "The file has 5010 bytes; the range asked for lies behind them."),
    422: error_body(422, "There is no dataset 99.", {"dataset_id": ["There is no dataset 99."]}),
    429: error_body(429, "This client sends more than 600 requests a minute; send the rest in 12 seconds."),
    503: error_body(503, "The job queue (Redis) cannot be reached, so nothing was started."),
    507: error_body(
        507,
        "/srv/storage/db/projects/1-100.json cannot be written (No space left on device); "
        "give it room and access, then try again.",
    ),
}
DESCRIPTIONS = {
    400: "The request cannot be read, or lacks a required parameter.",
    401: "The service needs a token, and the request brings none that is valid.",
    403: "A web page of another origin may not change anything.",
    404: "The id names nothing.",
    409: "The request is sound but does not fit the present state.",
    413: "The body is larger than the service accepts.",
    415: "The body is neither JSON nor a form.",
    416: "The file has no bytes in the range that was asked for.",
    422: "A value cannot be used; `errors` says which, and what would be right.",
    429: "This client asks for more than the settings allow; `Retry-After` says when to try again.",
    503: "The storage or the queue cannot be reached.",
    507: "The disk is full; nothing was changed.",
}


class Api(flask_smorest.Api):
    """flask-smorest's with our error answers; `app.api.errors` handles exceptions."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # every status that an operation may answer is listed by its number

    def _register_error_handlers(self) -> None:
        """Leave the application's own handlers in place."""

    def _register_responses(self) -> None:
        scheme = {"type": "http", "scheme": "bearer", "description": "From `dht token create NAME`."}
        self.spec.components.security_scheme("token", scheme)
        for code, example in EXAMPLE_ERRORS.items():
            content = {"application/json": {"schema": ErrorSchema, "example": example}}
            response = {"description": DESCRIPTIONS[code], "content": content}
            self.spec.components.response(HTTPStatus(code).name, response, lazy=True)

    def _register_pagination_header(self) -> None:
        header = {
            "description": "Where the page lies in its list; only for requests with `page` or `page_size`.",
            "content": {"application/json": {"schema": PaginationMetadataSchema}},
        }
        self.spec.components.header("PAGINATION", header, lazy=True)
