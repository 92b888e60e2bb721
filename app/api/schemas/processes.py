"""Processes: how far they are, and how to stop them."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import EXAMPLE_PROCESS_ID, Flag, ProcessId, Values

PROGRESS_LINE = "Train 3/50 - batch 120/156 - cross_entropy=0.633 - categorical_accuracy=0.895 - 812 img/s - ETA 0:41"
STATUS = {
    "result": "ok",
    "status": {
        "process_type": "training",
        "process_status": "running",
        "process_data": PROGRESS_LINE,
        "process_state": "started",
        "progress": 0.055,
        "eta_seconds": 41.0,
        "queue_position": None,
        "error": None,
        "resumed_from": None,
        "interruptions": 0,
    },
}
LINE_OR_LINES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


class StatusQuerySchema(ma.Schema):
    process_id = ProcessId(required=True)
    full = Flag(load_default=False, metadata={"description": "Answer every line, not the newest alone."})


class ProcessStatusSchema(ma.Schema):
    process_type = fields.String(required=True, metadata={"enum": ["training", "inference", "check"]})
    process_status = fields.String(required=True, metadata={"enum": ["running", "finished", "error"]})
    process_data = Values(
        required=True,
        metadata={"description": "The newest progress line; with `full`, the list of all.", **LINE_OR_LINES},
    )
    process_state = fields.String(metadata={"enum": ["queued", "started", "stopping", "stopped", "finished", "failed"]})
    progress = fields.Float(metadata={"minimum": 0, "maximum": 1, "description": "Fraction of the whole process."})
    eta_seconds = fields.Float(allow_none=True, metadata={"description": "Expected time to the end."})
    queue_position = fields.Integer(
        allow_none=True, metadata={"description": "1 for the next one; null unless queued."}
    )
    error = fields.String(allow_none=True, metadata={"description": "Why it failed."})
    resumed_from = fields.String(
        allow_none=True, metadata={"description": "The process id of the training that this one goes on with."}
    )

    interruptions = fields.Integer(
        metadata={"minimum": 0, "description": "How often its job was killed, and it was queued again by itself."}
    )


class StatusSchema(ma.Schema):
    result = fields.String(required=True)
    status = fields.Nested(ProcessStatusSchema, required=True)


class StopRequestSchema(ma.Schema):
    process_id = ProcessId(required=True)


class StopSchema(ma.Schema):
    result = fields.String(required=True, metadata={"example": "Training stopped"})


class RetriedSchema(ma.Schema):
    result = fields.String(required=True)
    process_id = fields.String(required=True, metadata={"format": "uuid", "description": "The new process."})
    weight_id = fields.Integer(metadata={"description": "Of a training, its weights."})


RETRIED = {"result": "ok", "process_id": EXAMPLE_PROCESS_ID, "weight_id": 3}
STOP_REQUEST = {"process_id": EXAMPLE_PROCESS_ID}
