"""How the service is."""

import marshmallow as ma
from marshmallow import fields

HEALTH = {
    "status": "degraded",
    "problems": ["No worker serves the queue inference; start one with python worker.py inference."],
    "web": {"version": "0.1.0", "workers": 2},
    "redis": {"is_reachable": True},
    "queues": [
        {"name": "training", "workers": 1, "waiting": 3, "started": 1, "finished": 7, "failed": 0},
        {"name": "inference", "workers": 0, "waiting": 0, "started": 0, "finished": 2, "failed": 0},
    ],
    "workers": [
        {
            "host": "lab-server",
            "pid": 4711,
            "queues": ["training"],
            "since": "2026-03-02T09:41:07.512000Z",
            "state": "busy",
            "is_same_version": True,
            "process_id": "ec63b923-850a-4d1d-aa24-e9d54a942c1b",
        }
    ],
    "disk": {"free_bytes": 81_604_378_624, "total_bytes": 250_790_436_864},
    "engines": [
        {
            "name": "torch",
            "is_installed": True,
            "versions": {"torch": "2.9.1", "monai": "1.6.0", "onnx": "1.22.0", "onnxruntime": "1.26.0"},
            "remedy": None,
        },
        {
            "name": "eddl",
            "is_installed": False,
            "versions": {},
            "remedy": "The engine EDDL needs pyeddl and pyecvl, not installed on this machine: "
            "install pyeddl and pyecvl (docs/eddl.md), or choose Torch.",
        },
    ],
}


class WebSchema(ma.Schema):
    version = fields.String(required=True)
    workers = fields.Integer(required=True, metadata={"description": "Processes of the web server."})


class RedisSchema(ma.Schema):
    is_reachable = fields.Boolean(required=True)


class QueueSchema(ma.Schema):
    name = fields.String(required=True)
    workers = fields.Integer(required=True, metadata={"description": "That serve it."})
    waiting = fields.Integer(required=True)
    started = fields.Integer(required=True)
    finished = fields.Integer(required=True, metadata={"description": "Within the last day."})
    failed = fields.Integer(required=True, metadata={"description": "Within the last week."})


class WorkerSchema(ma.Schema):
    host = fields.String(required=True)
    pid = fields.Integer(required=True)
    queues = fields.List(fields.String(), required=True)
    since = fields.String(required=True)
    state = fields.String(required=True, metadata={"example": "idle"})
    is_same_version = fields.Boolean(required=True, metadata={"description": "Whether it runs the web server's code."})
    process_id = fields.String(required=True, allow_none=True, metadata={"description": "What it works on."})


class DiskSchema(ma.Schema):
    free_bytes = fields.Integer(required=True)
    total_bytes = fields.Integer(required=True)


class EngineSchema(ma.Schema):
    name = fields.String(required=True, metadata={"description": "What the setting ENGINE calls it."})
    is_installed = fields.Boolean(required=True, metadata={"description": "On the web server's machine."})
    versions = fields.Dict(fields.String(), fields.String(), required=True)
    remedy = fields.String(required=True, allow_none=True, metadata={"description": "What it lacks, and what to do."})


class HealthSchema(ma.Schema):
    """All but `status` is left out where the request lacks a token that it would need."""

    status = fields.String(required=True, metadata={"enum": ["ok", "degraded", "failing"]})
    problems = fields.List(fields.String(), metadata={"description": "What to do, one sentence each."})
    web = fields.Nested(WebSchema)
    redis = fields.Nested(RedisSchema)
    queues = fields.List(fields.Nested(QueueSchema))
    workers = fields.List(fields.Nested(WorkerSchema))
    disk = fields.Nested(DiskSchema, allow_none=True, metadata={"description": "That of the storage folder."})
    engines = fields.List(fields.Nested(EngineSchema), metadata={"description": "Deep-learning libraries."})
