"""What starts an inference."""

from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from marshmallow import fields
from werkzeug.datastructures import FileStorage

from app.api.schemas.fields import EXAMPLE_PROCESS_ID, LOCATION_CHARACTERS, Id, Text, Values
from app.api.schemas.outputs import OUTPUTS, OutputSchema

INFERENCE_REQUEST = {"modelweights_id": 3, "dataset_id": 1, "project_id": 1}
SINGLE_INFERENCE_REQUEST = {"modelweights_id": 3, "image_url": "https://lab.example/my-image.png", "project_id": 1}
LONGEST_WAIT_SECONDS = 60
INFERENCE_STARTED = {"result": "ok", "process_id": EXAMPLE_PROCESS_ID}
SINGLE_INFERENCE_ANSWERED = {
    **INFERENCE_STARTED,
    "outputs": [["https://lab.example/my-image.png", "[[0.0021, 0.9874, 0.0105]]"]],
    "images": ["https://lab.example/my-image.png"],
}


class InferenceRequestSchema(ma.Schema):
    modelweights_id = Id(required=True)
    dataset_id = Id(required=True)
    project_id = Id(required=True)


class ImageFile(Upload):
    """A file in a multipart form; its content is what the view gets."""

    default_error_messages = {"invalid": "A file in a multipart form is expected."}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bytes:
        if not isinstance(value, FileStorage):
            raise self.make_error("invalid")
        return value.read()


class SingleInferenceRequestSchema(ma.Schema):
    """One of `image_url` and `image_data`; a multipart form may bring the file `image` instead."""

    modelweights_id = Id(required=True)
    project_id = Id(required=True)
    image_url = Text(longest=LOCATION_CHARACTERS, shortest=0, allow_none=True, metadata={"format": "uri"})
    image_data = fields.String(allow_none=True, metadata={"description": "A base64 data URL."})
    image_file = ImageFile(format="binary", data_key="image", metadata={"description": "Only in a multipart form."})

    @ma.post_load
    def drop_absent(self, values: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Leave null and empty fields out, as forms cannot leave out what their page shows."""
        return {name: value for name, value in values.items() if value not in (None, "", b"")}


class SingleInferenceFormSchema(ma.Schema):
    """The fields of a form; only documents them."""

    modelweights_id = Id(required=True)
    project_id = Id(required=True)
    image_url = Text(longest=LOCATION_CHARACTERS, metadata={"format": "uri"})
    image_data = fields.String(metadata={"description": "A base64 data URL."})


class SingleInferenceUploadSchema(ma.Schema):
    """The fields of a multipart form; only documents them."""

    modelweights_id = Id(required=True)
    project_id = Id(required=True)
    image = ImageFile(format="binary", required=True)


class WaitQuerySchema(ma.Schema):
    wait = fields.Float(
        load_default=0.0,
        allow_nan=False,
        validate=ma.validate.Range(0, LONGEST_WAIT_SECONDS),
        metadata={"description": "Seconds in which the answer may bring the output with it."},
    )


class InferenceStartedSchema(ma.Schema):
    result = fields.String(required=True)
    process_id = fields.String(required=True, metadata={"format": "uuid"})


class SingleInferenceStartedSchema(OutputSchema):
    """The start of a process, with its output where that was waited for."""

    result = fields.String(required=True)
    process_id = fields.String(required=True, metadata={"format": "uuid"})
    outputs = Values(metadata=OUTPUTS)
