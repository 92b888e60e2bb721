"""Tasks, models, properties and allowed properties: what clients have built in."""

import pytest
from api_sandbox import DATASET, assert_error


def test_tasks(client):
    tasks = [{"id": 1, "name": "Classification"}, {"id": 2, "name": "Segmentation"}]
    assert client.get("/backend/tasks").json == tasks
    assert client.get("/backend/tasks/2").json == tasks[1]
    assert_error(client.get("/backend/tasks/3"), 404)


def test_models_by_task(client):
    models = client.get("/backend/models").json
    assert all(list(model) == ["id", "name", "task_id"] for model in models)
    assert [model["id"] for model in models] == sorted(model["id"] for model in models)
    assert client.get("/backend/models?task_id=1").json == [model for model in models if model["task_id"] == 1]
    assert client.get("/backend/models?task_id=99").json == []
    assert client.get("/backend/models/1/").json == models[0]


@pytest.mark.parametrize("task_id", ["x", "1.5", "", "-1", "0", str(10**30)])
def test_a_filter_that_is_no_id(client, task_id):
    assert_error(client.get("/backend/models", query_string={"task_id": task_id}), 422, "task_id")


def test_the_first_seven_properties_are_those_of_d35(client):
    names = ["Learning rate", "Loss function", "Epochs", "Batch size", "Metric", "Input height", "Input width"]
    properties = client.get("/backend/properties/").json
    assert [entry["name"] for entry in properties[:7]] == names
    assert [entry["id"] for entry in properties[:7]] == [1, 2, 3, 4, 5, 6, 7]
    assert client.get("/backend/properties/3").json == {
        "id": 3,
        "name": "Epochs",
        "type": "integer",
        "default": "50",
        "values": None,
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Learning rate", ["Learning rate"]),
        ("learning_RATE", ["Learning rate"]),
        ("input", ["Input height", "Input width"]),
        ("metric", ["Metric"]),
        ("augmentations", ["Training augmentations", "Validation augmentations", "Test augmentations"]),
        ("no such", []),
    ],
)
def test_properties_by_name(client, name, found):
    assert [entry["name"] for entry in client.get("/backend/properties", query_string={"name": name}).json] == found


def test_allowed_properties_need_model_and_property(client):
    assert_error(client.get("/backend/allowedProperties"), 400, "model_id", "property_id")
    assert_error(client.get("/backend/allowedProperties?model_id=1"), 400, "property_id")
    assert_error(client.get("/backend/allowedProperties?model_id=1&property_id=x"), 422, "property_id")
    assert client.get("/backend/allowedProperties?model_id=99&property_id=1").json == []


def test_allowed_properties_of_a_dataset_come_first(client, toolkit):
    rows = toolkit.database.allowed_properties
    of_model = rows.find(model_id=1, property_id=1)
    values = {"model_id": 1, "property_id": 1, "allowed_value": None}
    special = rows.add({**values, "dataset_id": 1, "default_value": "0.5"})
    rows.add({**values, "dataset_id": 2, "default_value": "0.7"})
    address = "/backend/allowedProperties?model_id=1&property_id=1"
    assert client.get(address).json == of_model
    assert client.get(f"{address}&dataset_id=1").json == [special, *of_model]
    assert client.get(f"{address}&dataset_id=3").json == of_model


def test_a_dataset_of_several_classes_an_image_has_choices_of_its_own(client, toolkit):
    rows = toolkit.database.allowed_properties
    dataset = toolkit.database.datasets.add({**DATASET, "is_multi_label": True})
    address = f"/backend/allowedProperties?model_id=1&dataset_id={dataset['id']}&property_id="

    assert client.get(f"{address}2").json == [
        {
            "id": 2,
            "model_id": 1,
            "property_id": 2,
            "dataset_id": dataset["id"],
            "allowed_value": "BinaryCrossEntropy,MSE",
            "default_value": "BinaryCrossEntropy",
        }
    ]
    assert client.get(f"{address}5").json[0]["default_value"] == "BinaryAccuracy"
    assert client.get(f"{address}4").json == rows.find(model_id=1, property_id=4)
