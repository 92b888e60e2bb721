"""Read requests: a body as JSON or as a form alike, every fault reported in the one error answer."""

import codecs
import json
from typing import Any, NoReturn

import flask
import marshmallow as ma
import orjson
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import UnsupportedMediaType

from app.api.errors import faults_by_place
from app.api.value_limit import refuse_many_values
from app.errors import InvalidInput, MalformedRequest

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
MISSING = ma.fields.Field.default_error_messages["required"]


class RequestParser(FlaskParser):
    """webargs' parser with this API's conventions."""

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        """Return the fields of the body, whichever of the accepted media types it has."""
        if getattr(schema, "is_body_optional", False) and req.mimetype not in FORM_TYPES and not req.get_data():
            return {}
        if req.mimetype == FORM_TYPES[0] and req.get_data().lstrip().startswith(b"{"):
            return read_object(req.get_data())  # `curl -d` says that JSON is a form, unless it is told otherwise
        if req.mimetype in FORM_TYPES:
            if req.mimetype == FORM_TYPES[0]:  # of one in parts, Werkzeug counts them
                refuse_many_values(req.get_data(), b"&")
            return _read_form(req)
        if is_json_request(req):
            return read_object(req.get_data())
        if not req.mimetype and not req.get_data():
            raise MalformedRequest("The request has no body; a JSON object or a form is expected.")
        raise UnsupportedMediaType(f"The body is {req.mimetype or 'of no stated type'}; application/json is expected.")

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        """Return the query parameters; of a repeated one, the first."""
        return req.args.to_dict()

    def handle_error(self, error: ma.ValidationError, req: flask.Request, schema: ma.Schema, **kwargs: Any) -> NoReturn:
        """Raise what webargs found: a lacking parameter is a malformed request, all else an invalid value."""
        faults = dict(faults_by_place(next(iter(error.messages_dict.values()))))
        sentences = [f"{place}: {fault}" for place, found in faults.items() for fault in found]
        more = len(sentences) - 1
        message = sentences[0] + (f" (and {more} more fault{'s' * (more > 1)})" if more else "")
        is_lacking = any(MISSING in found for found in faults.values())
        raise (MalformedRequest if is_lacking else InvalidInput)(message, faults) from error


def _read_form(req: flask.Request) -> dict[str, Any]:
    """Return the fields of a form; of a repeated one the first, but of files there is one or none."""
    if req.mimetype == FORM_TYPES[1] and not req.mimetype_params.get("boundary"):
        advice = "leave this header to the program that sends the form"
        raise MalformedRequest(f"The Content-Type of the form names no boundary; {advice}.")
    for name, files in req.files.lists():
        if len(files) > 1:
            raise InvalidInput.at(name, f"The form brings {len(files)} files as {name!r}; send one.")
    return {**req.form.to_dict(), **req.files.to_dict()}


def read_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds."""
    refuse_many_values(content)
    try:
        value = orjson.loads(content.removeprefix(codecs.BOM_UTF8))
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise MalformedRequest("The body is JSON, but not an object in curly brackets, as is expected here.")
    return value
