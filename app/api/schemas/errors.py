"""The one form of every error answer; it documents them, `app.api.errors` writes them."""

import marshmallow as ma
from marshmallow import fields


class ProblemPlaceSchema(ma.Schema):
    """One fault of a text or file that the client sent."""

    message = fields.String(required=True)
    line = fields.Integer(required=True, allow_none=True, metadata={"description": "From 1."})
    column = fields.Integer(required=True, allow_none=True, metadata={"description": "From 1."})
    key = fields.String(required=True, allow_none=True, metadata={"description": "Of a dataset's description."})
    excerpt = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Two lines for fixed width: the line of the text, and a caret under the column."},
    )


class ErrorSchema(ma.Schema):
    code = fields.Integer(required=True, metadata={"description": "The HTTP status code."})
    status = fields.String(required=True, metadata={"description": "The words of the status."})
    message = fields.String(required=True, metadata={"description": "One sentence that a person can act on."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={"description": "Faults by the field, parameter or file that they belong to."},
    )
    error = fields.String(required=True, metadata={"description": "The message again: what clients of 2020 read."})
    problems = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Nested(ProblemPlaceSchema)),
        metadata={"description": "Of faults in a text (augmentations, datasets): those of `errors` with their places."},
    )
