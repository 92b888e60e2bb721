"""Tasks: what a network can be trained for."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import Id

CLASSIFICATION = {"id": 1, "name": "Classification"}
SEGMENTATION = {"id": 2, "name": "Segmentation"}


class TaskSchema(ma.Schema):
    id = Id(required=True)
    name = fields.String(required=True)


class TaskFilterSchema(ma.Schema):
    task_id = Id(metadata={"description": "Only those of this task."})
