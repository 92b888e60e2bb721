"""What the tests of upkeep share: processes, and how runs and weights are made without a service."""

import hashlib
import json
import zipfile

from app.runs.state import QUEUED, RunState
from app.runs.writer import prepare_run, queue_run, write_state

TRAINED = "11111111-1111-4111-8111-111111111111"
WAITING = "22222222-2222-4222-8222-222222222222"
INFERRED = "33333333-3333-4333-8333-333333333333"

CONFIG = {
    "task": "classification",
    "architecture": "lenet",
    "classes": ["a", "b"],
    "channels": 1,
    "learning_rate": 0.1,
    "loss": "cross_entropy",
    "metric": "categorical_accuracy",
    "epochs": 1,
    "batch_size": 1,
    "input_height": 28,
    "input_width": 28,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "seed": 1,
}
DATASET = {"id": 1, "path": "/storage/datasets/1/dataset.yml", "folder": "/images"}
TRAINING = {
    "type": "training",
    "description": "train",
    "weights_id": 1,
    "initial_weights_id": None,
    "project_id": 1,
    "dataset": DATASET,
    "training": CONFIG,
}
INFERENCE = {"type": "inference", "description": "infer", "weights_id": 1, "project_id": 1, "dataset": DATASET}


def add_run(storage, process_id, state, config):
    run = storage.run(process_id)
    prepare_run(run, {"process_id": process_id, "description": "d", **config})
    queue_run(run)
    if state != QUEUED:
        write_state(run, RunState(state, line="done"))


def save_weights(storage, weights_id, content=b"numbers"):
    folder = storage.weights(weights_id)
    for path in (folder.best, folder.last):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", content)
    digest = hashlib.sha256(folder.best.read_bytes()).hexdigest()
    folder.card.write_text(json.dumps({"config": CONFIG, "digest": digest}))
