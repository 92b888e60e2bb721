import json
from importlib.resources import files

import pytest

from app.training.config import resolve_properties
from app.zoo.architectures import ARCHITECTURES

MODELS, PROPERTIES, ALLOWED = (
    json.loads((files("app.zoo") / f"{name}.json").read_text())
    for name in ("models", "properties", "allowed_properties")
)
TASKS = {1: "classification", 2: "segmentation"}


def test_every_architecture_is_a_model_of_its_task():
    assert sorted(model["architecture"] for model in MODELS) == sorted(ARCHITECTURES)
    for model in MODELS:
        assert ARCHITECTURES[model["architecture"]].task == TASKS[model["task_id"]]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["name"])
def test_every_model_trains_where_a_request_names_no_value(model):
    allowed = [row for row in ALLOWED if row["model_id"] == model["id"]]

    resolved = resolve_properties([], PROPERTIES, allowed, model["architecture"])

    # More than D3.5's batch of one and its 100 pixels, which are nobody's choice.
    assert resolved.values["batch_size"] > 1 and resolved.values["input_height"] != 100
    assert resolved.values["loss"] and resolved.values["metric"]
