"""The augmentation language: its catalogue, and texts in it."""

from typing import Any

import marshmallow as ma
from marshmallow import fields
from werkzeug.datastructures import FileStorage

from app.api.schemas.fields import Id, Values, Whole
from app.api.schemas.files import NamedFile
from app.augment.parser import LONGEST_TEXT, to_text
from app.augment.signatures import Augmentation, moves_pixels

KINDS = ["range", "vector", "number", "string"]
VALUE = {
    "description": "A number, a text, the numbers of a range or a vector, or null where the text leaves it open.",
    "anyOf": [
        {"type": "number"},
        {"type": "string"},
        {"type": "array", "items": {"type": "number"}},
        {"type": "null"},
    ],
}
MIRROR = {
    "name": "AugMirror",
    "summary": "mirror left and right",
    "is_container": False,
    "moves_pixels": True,
    "example": "AugMirror p=0.5",
    "parameters": [
        {
            "name": "p",
            "summary": "probability of a mirroring",
            "kinds": ["number"],
            "required": False,
            "default": 0.5,
            "minimum": 0,
            "maximum": 1,
            "lengths": [],
            "choices": [],
        }
    ],
}
TEXT = {"text": "SequentialAugmentationContainer\n  AugMirror p=.3\n  AugSalt p=[0,0.1] per_channel=0\nend\n"}
CHECKED = {
    "text": "SequentialAugmentationContainer\n    AugMirror p=0.3\n    AugSalt p=[0,0.1] per_channel=0\nend\n",
    "moves_pixels": ["AugMirror"],
    "operations": [
        {
            "name": "SequentialAugmentationContainer",
            "parameters": {},
            "given": [],
            "operations": [
                {"name": "AugMirror", "parameters": {"p": 0.3}, "given": ["p"], "operations": []},
                {
                    "name": "AugSalt",
                    "parameters": {"p": [0, 0.1], "per_channel": 0},
                    "given": ["p", "per_channel"],
                    "operations": [],
                },
            ],
        }
    ],
}
PREVIEW = {"text": "AugRotate angle=[-30,30]", "dataset_id": 2, "image_index": 5, "seed": 7, "count": 8}

LARGEST_SEED = 2**32 - 1
LARGEST_INDEX = 2**31 - 1
MOST_RESULTS = 48
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 32, 512


class ParameterSchema(ma.Schema):
    name = fields.String(required=True)
    summary = fields.String(required=True, metadata={"description": "One line for a person."})
    kinds = fields.List(
        fields.String(metadata={"enum": KINDS}),
        required=True,
        metadata={
            "description": "What is read: a range `[min,max]`, a vector `(a,b)`, a number `0.5` or a string "
            '`"linear"`; of several, the usual one first.'
        },
    )
    required = fields.Boolean(required=True)
    default = Values(required=True, allow_none=True, metadata=VALUE)
    minimum = fields.Float(required=True, allow_none=True, metadata={"description": "Of each number; null for none."})
    maximum = fields.Float(required=True, allow_none=True, metadata={"description": "Of each number; null for none."})
    lengths = fields.List(
        fields.Integer(), required=True, metadata={"description": "How many numbers a vector may have; empty for any."}
    )
    choices = fields.List(
        fields.String(), required=True, metadata={"description": "The texts that a string may be; else empty."}
    )


class OperationSchema(ma.Schema):
    name = fields.String(required=True)
    summary = fields.String(required=True, metadata={"description": "One line for a person."})
    is_container = fields.Boolean(
        required=True, metadata={"description": "Other operations follow it, up to the word `end`."}
    )
    moves_pixels = fields.Boolean(
        required=True, metadata={"description": "Afterwards a mask no longer lies on its source image."}
    )
    example = fields.String(required=True, metadata={"description": "A text that uses it."})
    parameters = fields.List(fields.Nested(ParameterSchema), required=True)


class AugmentationTextSchema(ma.Schema):
    # The parser judges the text, its length included: its errors say more.
    text = fields.String(required=True, metadata={"maxLength": LONGEST_TEXT})


class ParsedOperationSchema(ma.Schema):
    """One operation or container, as a text says it."""

    name = fields.String(required=True)
    parameters = fields.Function(
        lambda augmentation: augmentation.settings(),
        required=True,
        metadata={
            "type": "object",
            "additionalProperties": VALUE,
            "description": "The value of every parameter, from the text or by default.",
        },
    )
    given = fields.Function(
        lambda augmentation: list(augmentation.parameters),
        required=True,
        metadata={
            "type": "array",
            "items": {"type": "string"},
            "description": "The parameters that the text gives, in its order; the others have their default.",
        },
    )
    operations = fields.List(
        fields.Nested(lambda: ParsedOperationSchema()),
        required=True,
        attribute="children",
        metadata={"description": "Of a container, what it holds."},
    )


class CheckedTextSchema(ma.Schema):
    text = fields.String(required=True, metadata={"description": "The text as the service writes it."})
    moves_pixels = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "The operations after which a mask no longer lies on its source image; with any, the text "
            "cannot be the Test augmentations of a segmentation."
        },
    )
    operations = fields.List(
        fields.Nested(ParsedOperationSchema),
        required=True,
        metadata={"description": "The outermost operation or container; an empty text is an empty sequence."},
    )

    @ma.pre_dump
    def told(self, augmentation: Augmentation, **kwargs: Any) -> dict[str, Any]:
        """Return what the text of an augmentation says."""
        return {
            "text": to_text(augmentation),
            "moves_pixels": moves_pixels(augmentation),
            "operations": [augmentation],
        }


class PreviewRequestSchema(ma.Schema):
    """An image of a dataset; a multipart form may bring the files `image` and `mask` instead."""

    text = fields.String(required=True, metadata={"maxLength": LONGEST_TEXT})
    dataset_id = Id(allow_none=True)
    image_index = Whole(
        minimum=0,
        maximum=LARGEST_INDEX,
        load_default=0,
        metadata={"description": "Position in the dataset, from 0. A training with this seed draws by it, too."},
    )
    seed = Whole(minimum=0, maximum=LARGEST_SEED, load_default=0)
    count = Whole(
        maximum=MOST_RESULTS,
        load_default=8,
        metadata={"description": "How many results: those of the epochs 1, 2, ... of a training with this seed."},
    )
    size = Whole(
        minimum=SMALLEST_SIDE_PX,
        maximum=LARGEST_SIDE_PX,
        load_default=192,
        metadata={"description": "The longest side in pixels with which each image is shown."},
    )
    image = NamedFile(format="binary", metadata={"description": "Only in a multipart form."})
    mask = NamedFile(format="binary", metadata={"description": "Only in a multipart form, beside `image`."})

    @ma.pre_load
    def drop_empty(self, values: Any, **kwargs: Any) -> Any:
        """Leave out what forms cannot: empty fields, and parts without a file."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name == "text" or not _is_empty(value)}


class PreviewNumbersSchema(ma.Schema):
    text = fields.String(required=True, metadata={"maxLength": LONGEST_TEXT})
    image_index = Whole(minimum=0, maximum=LARGEST_INDEX)
    seed = Whole(minimum=0, maximum=LARGEST_SEED)
    count = Whole(maximum=MOST_RESULTS)
    size = Whole(minimum=SMALLEST_SIDE_PX, maximum=LARGEST_SIDE_PX)


class PreviewFormSchema(PreviewNumbersSchema):
    """The fields of a form; only documents them."""

    dataset_id = Id(required=True)


class PreviewUploadSchema(PreviewNumbersSchema):
    """The fields of a multipart form; only documents them."""

    image = NamedFile(
        format="binary", required=True, metadata={"description": "An image of any kind that datasets have."}
    )
    mask = NamedFile(format="binary", metadata={"description": "Its mask, of the same size."})


def _is_empty(value: Any) -> bool:
    return value == "" or (isinstance(value, FileStorage) and not value.filename)
