"""Configs of processes that no job of the service made."""

INFERENCE = {
    "type": "inference",
    "description": "infer",
    "weights_id": 1,
    "project_id": 1,
    "dataset": {"id": 1, "path": "/storage/datasets/1/dataset.yml", "folder": "/images"},
}
