"""How records are deleted."""

import marshmallow as ma

from app.api.schemas.fields import Flag


class DeletionSchema(ma.Schema):
    cascade = Flag(load_default=False, metadata={"description": "Delete what depends on it too."})
