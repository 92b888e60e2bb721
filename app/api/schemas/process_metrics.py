"""What processes measured."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import EXAMPLE_PROCESS_ID

TRAINING_METRICS = {
    "process_id": EXAMPLE_PROCESS_ID,
    "process_type": "training",
    "process_state": "finished",
    "curves": {
        "training": [{"epoch": 1, "loss": 0.71, "categorical_accuracy": 0.78, "samples": 1149, "seconds": 0.91}],
        "validation": [{"epoch": 1, "loss": 0.31, "categorical_accuracy": 0.91, "samples": 288, "seconds": 0.12}],
    },
    "best": {"epoch": 1, "metric": "categorical_accuracy", "value": 0.91},
    "metrics": None,
}
INFERENCE_METRICS = {
    "process_id": EXAMPLE_PROCESS_ID,
    "process_type": "inference",
    "process_state": "finished",
    "curves": {},
    "best": None,
    "metrics": {
        "images": 2,
        "accuracy": 1.0,
        "per_class": {"benign": {"precision": 1.0, "sensitivity": 1.0}},
        "confusion_matrix": [[1, 0], [0, 1]],
        "intervals": {"accuracy": [1.0, 1.0]},
        "interval_method": "95 % percentile bootstrap over images, 1000 resamples",
    },
}


class ProcessMetricsSchema(ma.Schema):
    process_id = fields.String(required=True, metadata={"format": "uuid"})
    process_type = fields.String(required=True, metadata={"enum": ["training", "inference", "check"]})
    process_state = fields.String(
        required=True, metadata={"enum": ["queued", "started", "stopping", "stopped", "finished", "failed"]}
    )
    curves = fields.Dict(
        required=True,
        metadata={"description": "By split, a row for each epoch that a training has ended: loss and metric, means."},
    )
    best = fields.Dict(
        required=True, allow_none=True, metadata={"description": "The epoch whose weights are kept as the best."}
    )
    metrics = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "Of an inference over labelled images, with a 95 % interval of each number."},
    )
