"""Models: the architectures that can be trained."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import Id, Name

LENET = {"id": 1, "name": "LeNet", "task_id": 1}
UNET = {"id": 2, "name": "U-Net", "task_id": 2}
NEW_MODEL = {"name": "EfficientNet-lite0 (ImageNet)", "task_id": 1}
FAMILY = {"id": 1001, **NEW_MODEL}


class ModelSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    task_id = Id(required=True)


class NewModelSchema(ma.Schema):
    """A model for networks that are uploaded."""

    name = Name(required=True)
    task_id = Id(required=True)
