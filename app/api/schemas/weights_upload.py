"""Networks that are uploaded as ONNX files."""

import math
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields
from werkzeug.datastructures import FileStorage

from app.api.schemas.datasets import ColourType
from app.api.schemas.fields import LOCATION_CHARACTERS, NAME_CHARACTERS, VALUE_CHARACTERS, Id, Name, Text, Whole
from app.api.schemas.files import NamedFile
from app.api.schemas.weights import WEIGHTS

MOST_CLASSES = 100_000
MOST_CHANNELS = 1000
LARGEST_SIDE_PX = 4096
LARGEST_NUMBER = 1e6
NEW_WEIGHTS = {
    "name": "EfficientNet-lite0 of ImageNet",
    "model_id": 1001,
    "url": "https://example.org/efficientnet-lite0.onnx",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
UPLOADED_WEIGHTS = {
    **WEIGHTS,
    "name": "EfficientNet-lite0 of ImageNet",
    "model_id": 1001,
    "dataset_id": None,
    "celery_id": None,
    "upload": {
        "origin": "https://example.org/efficientnet-lite0.onnx",
        "classes": ["0", "1", "2"],
        "channels": 3,
        "input_height": 224,
        "input_width": 224,
        "is_multi_label": False,
        "parameter_count": 4652008,
        "last_layer": "Gemm_239",
        "notes": ["The classes have no names; they are called '0' to '2'."],
    },
}


class Listed(fields.Field):
    """A list; in a form, its JSON text, or its items with commas between them."""

    default_error_messages = {"invalid": "A list is expected; in a form, with commas between its items."}

    def __init__(self, item: fields.Field, *, most: int, schema: dict, description: str):
        listed = {"type": "array", "minItems": 1, "maxItems": most, "items": schema}
        text = {"type": "string", "minLength": 1, "maxLength": VALUE_CHARACTERS}
        metadata = {"anyOf": [listed, text, {"type": "null"}], "description": description}
        super().__init__(allow_none=True, metadata=metadata)
        self._item, self._most = item, most

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any] | None:
        items = _items(value) if isinstance(value, str) else value
        if not isinstance(items, list) or not 0 < len(items) <= self._most:
            raise self.make_error("invalid")
        return [self._item.deserialize(item) for item in items]


def _items(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
    return [item.strip() for item in text.split(",")]


class Number(fields.Float):
    """A finite number of ordinary size."""

    def __init__(self, **kwargs: Any):
        limits = ma.validate.Range(-LARGEST_NUMBER, LARGEST_NUMBER)
        super().__init__(validate=limits, allow_nan=False, **kwargs)

    def _validated(self, value: Any) -> float:
        number = super()._validated(value)
        if number is None or isinstance(value, bool) or not math.isfinite(number):
            raise self.make_error("invalid", input=value)
        return number


class Positive(Number):
    """A number above 0."""

    default_error_messages = {"positive": "A number above 0 is expected."}

    def _validated(self, value: Any) -> float:
        number = super()._validated(value)
        if number <= 0:
            raise self.make_error("positive")
        return number


NUMBER = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST_NUMBER}
NAME = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS}


class DescribedWeightsSchema(ma.Schema):
    """What the owner of a file says of it; all but name and model may be left out where the file tells it."""

    name = Name(required=True)
    model_id = Id(required=True)
    classes: fields.Field = Listed(
        Name(),
        most=MOST_CLASSES,
        schema=NAME,
        description="Their names in the network's order; by default those in the file, or numbers from 0.",
    )
    colour_type = ColourType()
    input_height = Whole(maximum=LARGEST_SIDE_PX, allow_none=True, metadata={"description": "Where the file is open."})
    input_width = Whole(maximum=LARGEST_SIDE_PX, allow_none=True, metadata={"description": "By default the height."})
    is_multi_label = fields.Boolean(
        allow_none=True, metadata={"description": "Whether the network decides each class by itself."}
    )
    largest_value = Positive(
        allow_none=True,
        metadata={**POSITIVE, "description": "What the network expects for white: 1 (the default), or 255."},
    )
    mean: fields.Field = Listed(
        Number(),
        most=MOST_CHANNELS,
        schema=NUMBER,
        description="What the network expects to be taken off each channel then; one number stands for all.",
    )
    std: fields.Field = Listed(
        Positive(), most=MOST_CHANNELS, schema=POSITIVE, description="What each channel is to be divided by after that."
    )
    channel_order = fields.String(
        allow_none=True,
        validate=ma.validate.OneOf(("RGB", "BGR"), error="RGB or BGR is expected."),
        metadata={"description": "The order of the colours that the network expects; RGB by default."},
    )
    layer_to_remove = Text(
        longest=NAME_CHARACTERS,
        allow_none=True,
        metadata={
            "description": "The last layer, which other classes replace, by the name of its node, result or weights; "
            "found by itself, if left out."
        },
    )


class NewWeightsSchema(DescribedWeightsSchema):
    """A network by its URL; a multipart form may bring the file `file` instead of `url`."""

    url = Text(
        longest=LOCATION_CHARACTERS,
        required=True,
        metadata={"description": "The http(s) URL of an ONNX file."},
    )
    file = NamedFile(format="binary", metadata={"description": "Only in a multipart form."})

    @ma.pre_load
    def let_a_file_stand_for_the_url(self, values: Any, **kwargs: Any) -> Any:
        """Fill what a form cannot leave out, and refuse what would be two places."""
        if not isinstance(values, dict) or not isinstance(values.get("file"), FileStorage):
            return values
        values = {name: value for name, value in values.items() if value != ""}  # a form's fields that were left empty
        if not values["file"].filename:  # a browser sends an empty part for a field without a file
            return {name: value for name, value in values.items() if name != "file"}
        if values.get("url"):
            raise ma.ValidationError("Give either `url` or `file`, not both.", "file")
        return {**values, "url": "file"}

    @ma.post_load
    def find_place(self, values: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Name what is uploaded, a URL or a file, alike."""
        url = values.pop("url")
        return {**values, "place": values.pop("file", None) or url}


class FormWeightsSchema(DescribedWeightsSchema):
    """The fields of a form, where lists are texts; only documents them."""

    classes = Text(longest=VALUE_CHARACTERS, metadata={"description": "With commas between them, or a JSON list."})
    mean = Text(longest=VALUE_CHARACTERS, metadata={"example": "0.485,0.456,0.406"})
    std = Text(longest=VALUE_CHARACTERS, metadata={"example": "0.229,0.224,0.225"})


class LinkedWeightsSchema(FormWeightsSchema):
    """The fields of a form without a file; only documents them."""

    url = Text(longest=LOCATION_CHARACTERS, required=True)


class UploadedWeightsSchema(FormWeightsSchema):
    """The fields of a multipart form; only documents them."""

    file = NamedFile(format="binary", required=True, metadata={"description": "An ONNX file."})
