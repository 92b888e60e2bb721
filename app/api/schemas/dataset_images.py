"""The samples of a dataset."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import NAME_CHARACTERS, Flag, Text

SAMPLE = {
    "index": 0,
    "location": ["images/000.png"],
    "labels": ["benign"],
    "mask": None,
    "split": "training",
    "values": {"age": 54},
    "thumbnail": "http://127.0.0.1:8000/backend/datasets/1/images/0/thumbnail",
}


class SampleQuerySchema(ma.Schema):
    split = Text(
        longest=NAME_CHARACTERS,
        metadata={"description": "Only the samples of this split, in its order; none if there is no such split."},
    )


class SampleSchema(ma.Schema):
    index = fields.Integer(required=True, metadata={"minimum": 0, "description": "Position in the dataset, from 0."})
    location = fields.List(fields.String(), required=True, metadata={"description": "The file, or one for each plane."})
    labels = fields.List(
        fields.String(), required=True, allow_none=True, metadata={"description": "Names of classes; null for none."}
    )
    mask = fields.String(required=True, allow_none=True)
    split = fields.String(required=True, allow_none=True)
    values = fields.Dict(required=True, metadata={"description": "What is known of the sample, by feature."})
    thumbnail = fields.String(required=True, metadata={"format": "uri"})


class ThumbnailQuerySchema(ma.Schema):
    mask = Flag(load_default=False, metadata={"description": "Lay the mask over the image, if it has one."})
