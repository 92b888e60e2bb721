"""Datasets in the registry."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import LOCATION_CHARACTERS, Id, Name, Text

DIGITS = {
    "id": 1,
    "name": "Digits",
    "path": "/home/lab/backend/storage/datasets/1/dataset.yml",
    "task_id": 1,
    "source": "/home/lab/backend/datasets/digits/digits.yml",
    "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    "sample_count": 1797,
    "splits": {"training": 1257, "validation": 180, "test": 360},
    "colour_type": "GRAY",
    "created_at": "2026-11-20T09:30:00+00:00",
}


NEW_DATASET = {"name": "Digits", "task_id": 1, "path": "datasets/digits/digits.yml"}


class DatasetSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    path = fields.String(required=True, metadata={"description": "The service's own copy of the description."})
    task_id = Id(required=True)
    source = fields.String(metadata={"description": "Where the description came from: a URL or a path."})
    classes = fields.List(fields.String(), metadata={"description": "The names of the classes."})
    sample_count = fields.Integer(metadata={"minimum": 0})
    splits = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "Samples by the name of their split."}
    )
    colour_type = fields.String(allow_none=True)
    created_at = fields.String(allow_none=True)


class NewDatasetSchema(ma.Schema):
    name = Name(required=True)
    task_id = Id(required=True)
    path = Text(
        longest=LOCATION_CHARACTERS,
        required=True,
        metadata={
            "description": "The http(s) URL of a YAML file, or the path of one in a folder that the service may read."
        },
    )
