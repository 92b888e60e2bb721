"""Weights: what a training leaves."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import LOCATION_CHARACTERS, Id, Name, Text, Values

WEIGHTS = {
    "id": 3,
    "name": "LeNet_Digits_2026-11-20_09:33:49",
    "logfile": "/home/lab/backend/storage/weights/3/log.txt",
    "model_id": 1,
    "task_id": 1,
    "dataset_id": 1,
    "pretrained_on": None,
    "celery_id": "ec63b923-850a-4d1d-aa24-e9d54a942c1b",
    "replaced_layers": None,
    "onnx_export": {
        "relative_difference": 1.4e-07,
        "largest_difference": 1.4e-07,
        "image_count": 8,
        "is_noise": False,
        "error": None,
    },
    "upload": None,
}
RENAMED = {"id": 3, "name": "my best one"}
KEPT = {"description": "Clients may send it back; it stays as it is."}


class OnnxExportSchema(ma.Schema):
    """How far the numbers of the ONNX file lie from the service's own, or why there is no file."""

    relative_difference = fields.Float(
        metadata={"description": "The largest difference between two probabilities, as a part of the largest one."}
    )
    largest_difference = fields.Float()
    image_count = fields.Integer(metadata={"description": "How many images were compared.", "minimum": 0})
    is_noise = fields.Boolean(
        required=True,
        metadata={"description": "Whether these were random numbers, since the dataset's images could not be read."},
    )
    error = fields.String(required=True, allow_none=True)


class UploadSchema(ma.Schema):
    """What the service found in an uploaded file."""

    origin = fields.String(metadata={"description": "The name of the file, or the URL that it was fetched from."})
    classes = fields.List(fields.String())
    channels = fields.Integer(metadata={"minimum": 1})
    input_height = fields.Integer(metadata={"minimum": 1})
    input_width = fields.Integer(metadata={"minimum": 1})
    is_multi_label = fields.Boolean()
    parameter_count = fields.Integer(metadata={"minimum": 0})
    last_layer = fields.String(
        allow_none=True, metadata={"description": "What is replaced for other classes; null if nothing can be."}
    )
    notes = fields.List(fields.String(), metadata={"description": "What was assumed, or changed in the network."})


class WeightsSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    logfile = fields.String(required=True, allow_none=True)
    model_id = Id(required=True)
    task_id = Id(required=True)
    dataset_id = Id(required=True, allow_none=True)
    pretrained_on = Id(
        required=True, allow_none=True, metadata={"description": "The weights that the training began with."}
    )
    celery_id = fields.String(
        attribute="process_id",
        allow_none=True,
        metadata={"description": "The process id of the training, under the name that the toolkit's GUI reads."},
    )
    replaced_layers = fields.List(
        fields.String(),
        allow_none=True,
        metadata={
            "description": "The layers that did not fit the weights of `pretrained_on` and were drawn anew, as the "
            "last one is when the number of classes differs; null until that is known, and for a training from scratch."
        },
    )
    onnx_export = fields.Nested(
        OnnxExportSchema,
        allow_none=True,
        metadata={"description": "Null until the weights as they are now have been exported; the download does it."},
    )
    upload = fields.Nested(
        UploadSchema, allow_none=True, dump_default=None, metadata={"description": "Null for weights of trainings."}
    )


class WeightsFilterSchema(ma.Schema):
    model_id = Id(required=True)
    dataset_id = Id(metadata={"description": "Only those trained on this dataset."})


class WeightsChangeSchema(ma.Schema):
    """Only the name changes; clients that edit a whole object may send the other fields along."""

    name = Name(required=True)
    logfile = Text(longest=LOCATION_CHARACTERS, shortest=0, allow_none=True, metadata=KEPT)
    model_id = Id(allow_none=True, metadata=KEPT)
    task_id = Id(allow_none=True, metadata=KEPT)
    dataset_id = Id(allow_none=True, metadata=KEPT)
    pretrained_on = Id(allow_none=True, metadata=KEPT)
    celery_id = Text(longest=64, shortest=0, allow_none=True, metadata=KEPT)
    onnx_export = Values(allow_none=True, metadata=KEPT)
    upload = Values(allow_none=True, metadata=KEPT)
    replaced_layers = Values(allow_none=True, metadata=KEPT)  # whatever it is, as a form spells lists in no one way


class WeightsPathChangeSchema(WeightsChangeSchema):
    """The id in the path counts; clients that send the whole object repeat it here."""

    id = Id()


class WeightsListChangeSchema(WeightsChangeSchema):
    id = Id(required=True)
