"""Datasets in the registry."""

from typing import Any

import marshmallow as ma
from marshmallow import fields
from werkzeug.datastructures import FileStorage

from app.api.schemas.fields import LOCATION_CHARACTERS, NAME_CHARACTERS, Id, Name, Text, Whole
from app.api.schemas.files import NamedFile, file_name

LARGEST_SEED = 2**31 - 1
MOST_FOLDS = 100
COLOUR_TYPES = ("GRAY", "RGB")

DIGITS = {
    "id": 1,
    "name": "Digits",
    "path": "/home/lab/backend/storage/datasets/1/dataset.yml",
    "task_id": 1,
    "source": "/home/lab/backend/datasets/digits/digits.yml",
    "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    "sample_count": 1797,
    "splits": {"training": 1257, "validation": 180, "test": 360},
    "is_multi_label": False,
    "colour_type": "GRAY",
    "version_of": None,
    "split_settings": None,
    "created_at": "2026-11-20T09:30:00+00:00",
}
NEW_DATASET = {"name": "Digits", "task_id": 1, "path": "datasets/digits/digits.yml"}
NEW_SPLIT = {"training": 0.8, "validation": 0.1, "test": 0.1, "seed": 7}
SPLIT_DIGITS = {
    **DIGITS,
    "id": 2,
    "name": "Digits (split 2)",
    "path": "/home/lab/backend/storage/datasets/2/dataset.yml",
    "splits": {"training": 1438, "validation": 180, "test": 179},
    "version_of": 1,
    "split_settings": NEW_SPLIT,
}


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
    is_multi_label = fields.Boolean(
        metadata={"description": "Whether images may have none of the classes, or several: their labels are lists."}
    )
    colour_type = fields.String(allow_none=True)
    version_of = fields.Integer(
        allow_none=True, metadata={"description": "The dataset that this one is another split of."}
    )
    split_settings = fields.Dict(
        allow_none=True,
        metadata={"description": "How the split was drawn, with its seed; null if it came with the dataset."},
    )
    created_at = fields.String(allow_none=True)


class ColourType(fields.String):
    """How a network sees the images of a dataset."""

    def __init__(self) -> None:
        super().__init__(
            allow_none=True,
            validate=ma.validate.OneOf(COLOUR_TYPES, error="GRAY or RGB is expected."),
            metadata={"description": "What the images are converted to; by default what the first one is."},
        )


class NewDatasetSchema(ma.Schema):
    """A dataset by its place; a multipart form may bring the file `file` instead of `path`."""

    name = Name(required=True)
    task_id = Id(required=True)
    path = Text(
        longest=LOCATION_CHARACTERS,
        required=True,
        metadata={
            "description": "The http(s) URL of a YAML file, or the path of one, or of a folder, that the service may "
            "read."
        },
    )
    colour_type = ColourType()
    file = NamedFile(format="binary", metadata={"description": "Only in a multipart form."})

    @ma.pre_load
    def let_a_file_stand_for_the_path(self, values: Any, **kwargs: Any) -> Any:
        """Fill what a form cannot leave out, and refuse what would be two places."""
        if not isinstance(values, dict) or not isinstance(values.get("file"), FileStorage):
            return values
        if not values["file"].filename:  # a browser sends an empty part for a field without a file
            return {name: value for name, value in values.items() if name != "file"}
        if values.get("path"):
            raise ma.ValidationError("Give either `path` or `file`, not both.", "file")
        return {**values, "path": file_name(values["file"]), "colour_type": values.get("colour_type") or None}

    @ma.post_load
    def find_place(self, values: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Name what is registered, a place or a file, alike."""
        path = values.pop("path")
        return {**values, "place": values.pop("file", None) or path}


class UploadedDatasetSchema(ma.Schema):
    """The fields of a multipart form; only documents them."""

    name = Name(required=True)
    task_id = Id(required=True)
    colour_type = ColourType()
    file = NamedFile(
        format="binary",
        required=True,
        metadata={"description": "A YAML file, or a zip, tar or tar.gz archive of images with or without one."},
    )


class Fraction(fields.Float):
    """A part of all images, from 0 to 1."""

    def __init__(self) -> None:
        super().__init__(allow_none=True, validate=ma.validate.Range(0, 1))


class NewSplitSchema(ma.Schema):
    """How a dataset is split anew."""

    is_body_optional = True

    training = Fraction()
    validation = Fraction()
    test = Fraction()
    folds = Whole(minimum=2, maximum=MOST_FOLDS, allow_none=True)
    fold = Whole(maximum=MOST_FOLDS, allow_none=True, metadata={"description": "The fold that is for validation."})
    seed = Whole(
        minimum=0,
        maximum=LARGEST_SEED,
        allow_none=True,
        metadata={"description": "By default one is drawn; the answer tells it."},
    )
    group_by = Text(
        longest=NAME_CHARACTERS,
        allow_none=True,
        metadata={"description": "A feature, such as patient: images with the same value come into the same split."},
    )
    stratify = fields.Boolean(
        allow_none=True,
        metadata={"description": "Whether each split gets its share of each class; yes, where there are classes."},
    )
