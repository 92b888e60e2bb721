"""The augmentation language: its catalogue, and texts in it."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import Values
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
