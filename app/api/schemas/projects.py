"""Projects."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import Id, Name

PROJECT = {"id": 1, "name": "firstProjectName", "task_id": 1, "modelweights_id": 193, "inference_id": 179}
LATEST_TRAINING = {"description": "The weights of the latest training."}
LATEST_INFERENCE = {"description": "The latest inference."}


class ProjectSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    task_id = Id(required=True)
    modelweights_id = Id(required=True, allow_none=True, metadata=LATEST_TRAINING)
    inference_id = Id(required=True, allow_none=True, metadata=LATEST_INFERENCE)


class NewProjectSchema(ma.Schema):
    name = Name(required=True)
    task_id = Id(required=True)
    modelweights_id = Id(load_default=None, allow_none=True, metadata=LATEST_TRAINING)
    inference_id = Id(load_default=None, allow_none=True, metadata=LATEST_INFERENCE)


class ProjectChangeSchema(ma.Schema):
    """What is absent stays as it is; so do null `modelweights_id` and `inference_id`: "not known" to a client."""

    name = Name()
    task_id = Id()
    modelweights_id = Id(allow_none=True, metadata=LATEST_TRAINING)
    inference_id = Id(allow_none=True, metadata=LATEST_INFERENCE)


class ProjectPathChangeSchema(ProjectChangeSchema):
    """The id in the path counts; clients that send the whole object repeat it here."""

    id = Id()


class ProjectListChangeSchema(ProjectChangeSchema):
    id = Id(required=True)
