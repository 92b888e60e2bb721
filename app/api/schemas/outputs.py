"""What an inference gave."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import EXAMPLE_PROCESS_ID, ProcessId, Values
from app.api.schemas.pages import PageSchema

CLASSIFICATION_OUTPUTS = {
    "outputs": [["images/0.png", "[[0.0021, 0.9874, 0.0105]]"], ["images/1.png", "[[0.9312, 0.0401, 0.0287]]"]],
    "images": ["images/0.png", "images/1.png"],
    "metrics": {"accuracy": 0.98},
}
SEGMENTATION_OUTPUTS = {
    "outputs": [f"http://127.0.0.1:8000/backend/outputs/{EXAMPLE_PROCESS_ID}/0.png"],
    "images": ["images/0.png"],
    "metrics": {"dice": 0.91},
}
UNFINISHED_OUTPUTS = {"outputs": [], "result": "The inference is still running; ask again when its status is finished."}
ROW = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}]}
OUTPUTS = {
    "type": "array",
    "items": ROW,
    "description": "One row for every image, in order: image and scores, or for segmentation the mask's URL.",
}


class OutputQuerySchema(PageSchema):
    process_id = ProcessId(required=True)
    format = fields.String(load_default="json", validate=ma.validate.OneOf(["json", "csv"]))


class OutputSchema(ma.Schema):
    outputs = Values(required=True, metadata=OUTPUTS)
    images = fields.List(fields.String(), metadata={"description": "The source image of each row."})
    metrics = fields.Dict(allow_none=True, metadata={"description": "Where the images have labels."})
    result = fields.String(metadata={"description": "Why there is no row yet."})
