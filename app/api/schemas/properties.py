"""Properties of a training, and what models and datasets make of them."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import NAME_CHARACTERS, Id, Text

LEARNING_RATE = {"id": 1, "name": "Learning rate", "type": "float", "default": "0.0001", "values": None}
LOSS_FUNCTION = {
    "id": 2,
    "name": "Loss function",
    "type": "list",
    "default": "CrossEntropy",
    "values": "CrossEntropy,SoftCrossEntropy,MSE",
}
ALLOWED_LOSS = {
    "id": 2,
    "model_id": 1,
    "property_id": 2,
    "dataset_id": None,
    "allowed_value": "CrossEntropy,SoftCrossEntropy,MSE",
    "default_value": "CrossEntropy",
}


class PropertySchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True, metadata={"enum": ["integer", "float", "list", "string"]})
    default = fields.String(required=True, allow_none=True)
    values = fields.String(required=True, allow_none=True, metadata={"description": "Comma-separated, for lists."})


class PropertyFilterSchema(ma.Schema):
    name = Text(
        longest=NAME_CHARACTERS,
        shortest=0,
        metadata={
            "description": "The whole name or, where none is alike, a part of it; case does not count, `_` is a blank.",
            "example": "learning_rate",
        },
    )


class AllowedPropertySchema(ma.Schema):
    id = Id(required=True)
    model_id = Id(required=True)
    property_id = Id(required=True)
    dataset_id = Id(required=True, allow_none=True)
    allowed_value = fields.String(required=True, allow_none=True, metadata={"description": "Comma-separated."})
    default_value = fields.String(required=True, allow_none=True)


class AllowedPropertyFilterSchema(ma.Schema):
    model_id = Id(required=True)
    property_id = Id(required=True)
    dataset_id = Id(metadata={"description": "Adds what holds for this dataset alone, before what holds for all."})
