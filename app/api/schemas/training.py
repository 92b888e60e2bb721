"""What starts a training, and the properties that one used."""

from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields

from app.api.schemas.fields import EXAMPLE_PROCESS_ID, NAME_CHARACTERS, VALUE_CHARACTERS, Id, ProcessId, Text
from app.api.value_limit import refuse_many_values

MOST_PROPERTIES = 100
RESUMED_WITHOUT = ("project_id", "model_id", "dataset_id")
TRAINING_REQUEST = {
    "model_id": 1,
    "weights_id": None,
    "properties": [
        {"name": "Learning rate", "value": "1e-3"},
        {"name": "Loss function", "value": "CrossEntropy"},
        {"name": "Metric", "value": "CategoricalAccuracy"},
        {"name": "Training augmentations", "value": 'AugRotate angle=[-5,5] center=(0,0) scale=0.5 interp="linear"\n'},
        {"name": "Epochs", "value": 10},
        {"name": "Batch size", "value": []},
    ],
    "dataset_id": 1,
    "project_id": 1,
}
TRAINING_STARTED = {"result": "ok", "process_id": EXAMPLE_PROCESS_ID, "weight_id": 3}
TRAINING_SETTING = {"modelweights_id": 3, "property_id": 1, "value": "1e-3"}

TEXT = {"type": "string", "maxLength": VALUE_CHARACTERS}
NUMBER = {"type": "number"}


class PropertyValue(fields.Field):
    """A text, a number, or a list of at most one of them; null and the empty list stand for the default."""

    default_error_messages = {"invalid": "A text, a number, or a list of at most one of them is expected."}

    def __init__(self, **kwargs: Any):
        one_of_them = {"type": "array", "maxItems": 1, "items": {"anyOf": [TEXT, NUMBER]}}
        metadata = {"anyOf": [TEXT, NUMBER, one_of_them, {"type": "null"}]}
        super().__init__(allow_none=True, metadata=metadata, **kwargs)
        self._text = Text(longest=VALUE_CHARACTERS, shortest=0)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | int | float | None:
        if isinstance(value, list) and len(value) <= 1:
            value = value[0] if value else None
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        if isinstance(value, str):
            return self._text.deserialize(value)
        raise self.make_error("invalid")


class RequestedPropertySchema(ma.Schema):
    class Meta:
        unknown = ma.EXCLUDE

    name = Text(
        longest=NAME_CHARACTERS, required=True, metadata={"description": "Case does not count, `_` is a blank."}
    )
    value = PropertyValue(required=True)


class RequestedProperties(fields.List):
    """A list; a form brings it as JSON text."""

    default_error_messages = {"json": "A list is expected; in a form, its JSON text."}

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = self._read(value)
        return super().deserialize([] if value is None else value, *args, **kwargs)

    def _read(self, text: str) -> Any:
        refuse_many_values(text.encode())
        try:
            return orjson.loads(text or "[]")
        except orjson.JSONDecodeError as error:
            raise self.make_error("json") from error


class TrainingReferencesSchema(ma.Schema):
    """Other keys are ignored in this one request: old clients send `pretraining_id` and the like."""

    class Meta:
        unknown = ma.EXCLUDE

    def load(self, data: Any, **options: Any) -> Any:
        """Need no ids where a training is resumed: it has them."""
        is_resumed = isinstance(data, dict) and data.get("resume") is not None
        return super().load(data, **options | ({"partial": RESUMED_WITHOUT} if is_resumed else {}))

    project_id = Id(required=True)
    model_id = Id(required=True)
    dataset_id = Id(required=True)
    weights_id = Id(
        load_default=None,
        allow_none=True,
        metadata={"description": "The weights to start from; null or absent for a training from scratch."},
    )
    resume = ProcessId(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "The process id of a training to go on with; the ids and properties may then be left out, "
            "and have to agree with it if they are sent. Only the property Epochs may grow."
        },
    )


class TrainingRequestSchema(TrainingReferencesSchema):
    properties = RequestedProperties(
        fields.Nested(RequestedPropertySchema),
        load_default=list,
        allow_none=True,
        validate=ma.validate.Length(max=MOST_PROPERTIES),
        metadata={"description": "Those that shall differ from their defaults."},
    )


class TrainingFormSchema(TrainingReferencesSchema):
    """The same as a form, where `properties` is JSON text; only documents it."""

    properties = fields.String(
        metadata={"contentMediaType": "application/json", "example": '[{"name": "Epochs", "value": 10}]'}
    )


class TrainingStartedSchema(ma.Schema):
    result = fields.String(required=True)
    process_id = fields.String(required=True, metadata={"format": "uuid"})
    weight_id = Id(required=True)


class TrainingSettingSchema(ma.Schema):
    modelweights_id = Id(required=True)
    property_id = Id(required=True)
    value = fields.String(required=True, allow_none=True)


class TrainingSettingFilterSchema(ma.Schema):
    modelweights_id = Id(required=True)
    property_id = Id()
