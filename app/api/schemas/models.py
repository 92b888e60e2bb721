"""Models: the architectures that can be trained."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import Id

LENET = {"id": 1, "name": "LeNet", "task_id": 1}
UNET = {"id": 2, "name": "U-Net", "task_id": 2}


class ModelSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)
    task_id = Id(required=True)
