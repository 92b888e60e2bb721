"""Reports on datasets."""

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.fields import EXAMPLE_PROCESS_ID, NAME_CHARACTERS, Text

CHECK_STARTED = {"result": "ok", "process_id": EXAMPLE_PROCESS_ID}
WAITING_REPORT = {"state": "queued", "progress": 0.0, "process_id": EXAMPLE_PROCESS_ID}
FINISHED_REPORT = {
    "state": "finished",
    "progress": 1.0,
    "process_id": EXAMPLE_PROCESS_ID,
    "task": "classification",
    "classes": ["benign", "malignant"],
    "sample_count": 3,
    "checked_count": 3,
    "unsplit_count": 0,
    "splits": {
        "training": {"samples": 2, "labelled": 2, "classes": {"benign": 1, "malignant": 1}},
        "test": {"samples": 1, "labelled": 1, "classes": {"benign": 1, "malignant": 0}},
    },
    "images": {
        "readable": 2,
        "sizes": [{"width": 600, "height": 450, "count": 2}],
        "distinct_sizes": 1,
        "width": {"minimum": 600, "median": 600, "maximum": 600},
        "height": {"minimum": 450, "median": 450, "maximum": 450},
        "channels": {"3": 2},
        "bit_depths": {"8": 2},
        "value_range": [0, 255],
    },
    "training_statistics": {
        "images": 2,
        "mean": [0.763, 0.546, 0.571],
        "std": [0.141, 0.153, 0.17],
        "mean_255": [194.6, 139.2, 145.6],
        "std_255": [36.0, 39.0, 43.4],
        "augmentations": "SequentialAugmentationContainer AugToFloat32 divisor=255 "
        "AugNormalize mean=(0.763,0.546,0.571) std=(0.141,0.153,0.17) end",
        "augmentations_255": "SequentialAugmentationContainer AugToFloat32 divisor=1 "
        "AugNormalize mean=(194.6,139.2,145.6) std=(36.0,39.0,43.4) end",
    },
    "class_balance": {"fractions": {"benign": 0.5, "malignant": 0.5}, "imbalance": 1.0},
    "masks": None,
    "group_feature": "patient_id",
    "problem_counts": {"error": 1, "warning": 0, "kinds": {"missing": 1}},
    "problems": [
        {
            "severity": "error",
            "kind": "missing",
            "file": "images/003.png",
            "split": "test",
            "message": "'images/003.png' does not exist.",
        }
    ],
    "checked_at": "2026-11-22T21:30:00+00:00",
    "seconds": 0.004,
    "images_per_second": 750.0,
}


class ProblemSchema(ma.Schema):
    severity = fields.String(required=True, metadata={"enum": ["error", "warning"]})
    kind = fields.String(required=True, metadata={"description": "One word for all problems like it."})
    file = fields.String(required=True, allow_none=True, metadata={"description": "As the description spells it."})
    split = fields.String(required=True, allow_none=True)
    message = fields.String(required=True)


class ReportSchema(ma.Schema):
    """What is there depends on `state`: everything when it is `finished`, else `progress` or `error`."""

    state = fields.String(required=True, metadata={"enum": ["queued", "running", "finished", "stopped", "failed"]})
    progress = fields.Float(required=True, metadata={"minimum": 0, "maximum": 1})
    process_id = fields.String(required=True, metadata={"format": "uuid", "description": "What /status takes."})
    line = fields.String(metadata={"description": "The newest progress line of a check that runs."})
    error = fields.String(metadata={"description": "Why there is no report."})
    task = fields.String()
    classes = fields.List(fields.String())
    sample_count = fields.Integer()
    checked_count = fields.Integer(metadata={"description": "Samples that were looked at."})
    unsplit_count = fields.Integer(metadata={"description": "Samples that are in no split."})
    splits = fields.Dict(metadata={"description": "Samples, labelled ones, and those of each class, by split."})
    images = fields.Dict(metadata={"description": "Sizes, channels, bit depths and values of the images."})
    training_statistics = fields.Dict(
        allow_none=True,
        metadata={"description": "Mean and deviation per channel of the training split, and the text that uses them."},
    )
    class_balance = fields.Dict(allow_none=True)
    masks = fields.Dict(allow_none=True, metadata={"description": "Areas of the classes, and what each value means."})
    group_feature = fields.String(allow_none=True, metadata={"description": "The feature that names patients."})
    problem_counts = fields.Dict(metadata={"description": "Errors, warnings, and how many of each kind."})
    problems = fields.List(
        fields.Nested(ProblemSchema), metadata={"description": "Errors first; the first thousand of each kind."}
    )
    checked_at = fields.String()
    seconds = fields.Float()
    images_per_second = fields.Float()


class NewCheckSchema(ma.Schema):
    is_body_optional = True

    group_by = Text(
        longest=NAME_CHARACTERS,
        load_default=None,
        allow_none=True,
        metadata={"description": "The feature that names patients; by default one called `patient_id` or the like."},
    )


class CheckStartedSchema(ma.Schema):
    result = fields.String(required=True)
    process_id = fields.String(required=True, metadata={"format": "uuid"})
