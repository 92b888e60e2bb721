"""How records are deleted."""

import marshmallow as ma
from marshmallow import fields


class DeletionSchema(ma.Schema):
    # Not a flag: what a client leaves empty must not delete more than it was asked to.
    cascade = fields.Boolean(
        load_default=False,
        error_messages={"invalid": "true or false is expected."},
        metadata={"description": "Delete what depends on it too."},
    )
