"""The one form of every error answer; it documents them, `app.api.errors` writes them."""

import marshmallow as ma
from marshmallow import fields


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
