"""Models that users add, and networks that they upload. Files that work are sent in tests/end_to_end/test_onnx.py."""

import io
import resource

import numpy as np
import pytest
from api_sandbox import WEIGHTS, assert_error
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def family(client):
    answer = client.post("/backend/models", json={"name": "From elsewhere", "task_id": 1})
    assert answer.status_code == 201, answer.json
    return answer.json


def send(client, content=b"no network", **fields):
    form = {"name": "W", "file": (io.BytesIO(content), "net.onnx"), **fields}
    return client.post("/backend/weights", data=form, content_type="multipart/form-data")


def test_an_added_model_is_listed_with_properties_of_its_own(client, family):
    assert family == {"id": 1001, "name": "From elsewhere", "task_id": 1}
    assert client.get("/backend/models/1001").json == family == client.get("/backend/models?task_id=1").json[-1]
    [row] = client.get("/backend/allowedProperties?model_id=1001&property_id=2").json
    assert row["allowed_value"] == "CrossEntropy,SoftCrossEntropy,MSE" and row["default_value"] == "CrossEntropy"
    second = client.post("/backend/models", json={"name": "Masks", "task_id": 2})
    assert second.json["id"] == 1002 and second.headers["Location"] == "/backend/models/1002"
    assert client.get("/backend/allowedProperties?model_id=1002&property_id=5").json[0]["default_value"] == "Dice"


def test_a_model_needs_a_name_of_its_own_and_a_task(client, family):
    assert_error(client.post("/backend/models", json={"name": "from ELSEWHERE", "task_id": 1}), 422, "name")
    assert_error(client.post("/backend/models", json={"name": "LeNet", "task_id": 1}), 422, "name")
    assert_error(client.post("/backend/models", json={"name": "x", "task_id": 9}), 422, "task_id")
    assert_error(client.post("/backend/models", json={"name": "x"}), 400, "task_id")
    assert client.post("/backend/models", json={"name": "LeNet", "task_id": 2}).status_code == 201


def test_only_an_added_model_without_weights_is_deleted(client, toolkit, family):
    assert_error(client.delete("/backend/models/1"), 409)
    assert_error(client.delete("/backend/models/99"), 404)
    weights = toolkit.database.weights.add({**WEIGHTS, "model_id": 1001})
    assert "has weights (1)" in client.delete("/backend/models/1001").json["message"]
    toolkit.database.weights.delete(weights["id"])
    assert client.delete("/backend/models/1001").status_code == 204
    assert client.get("/backend/allowedProperties?model_id=1001&property_id=2").json == []


def test_an_added_model_is_not_trained_from_scratch(client, project, dataset, family):
    body = {"project_id": project["id"], "dataset_id": dataset["id"], "model_id": family["id"]}
    answer = client.post("/backend/train", json=body)
    assert_error(answer, 422, "weights_id")
    assert "has no network but those of its weights" in answer.json["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no network", "begins otherwise"),
        (b"", "is empty"),
        (b"PK\x03\x04 and more", "zip archive"),
        (b"\x80\x04pickle", "pickle, which is never opened"),
        (b"\x89HDF\r\n", "Keras"),
    ],
)
def test_another_kind_of_file_is_refused_by_name(client, toolkit, family, content, words):
    answer = send(client, content, model_id="1001")
    assert_error(answer, 422, "file")
    assert words in answer.json["message"]
    assert list(toolkit.storage.all_weights.glob("[!.]*")) == []
    assert toolkit.database.weights.all() == []


def test_a_file_that_cannot_be_decoded_is_refused(client, toolkit, family):
    answer = send(client, b"\x08\x07" + b"\xff" * 50, model_id="1001")
    assert_error(answer, 422, "file")
    assert "cannot be decoded" in answer.json["message"]
    assert list(toolkit.storage.all_weights.glob("[!.]*")) == []


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"model_id": "99"}, 422, "model_id"),
        ({}, 400, "model_id"),
        ({"model_id": "1001", "mean": "a,b"}, 422, "mean"),
        ({"model_id": "1001", "std": "[0]"}, 422, "std"),
        ({"model_id": "1001", "classes": "[1"}, 422, "classes"),
        ({"model_id": "1001", "colour_type": "blue"}, 422, "colour_type"),
        ({"model_id": "1001", "url": "http://localhost/net.onnx"}, 422, "file"),
    ],
)
def test_what_is_said_of_a_file_is_checked_before_it_is_read(client, family, fields, code, field):
    assert_error(send(client, **fields), code, field)


def test_a_url_into_the_private_network_is_not_fetched(client, family):
    answer = client.post("/backend/weights", json={"name": "W", "model_id": 1001, "url": "http://127.0.0.1/net.onnx"})
    assert_error(answer, 422, "url")
    assert "private network" in answer.json["message"]


@pytest.fixture
def only_as_large():
    """Let this process and its programs write no file that is larger than some bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def linear_network():
    """Return an ONNX file of one layer; what the service makes of it is larger."""
    layer = numpy_helper.from_array(np.ones((3 * 32 * 32, 10), np.float32), "layer")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "layer"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["y"], axis=1),
    ]
    ends = [("x", ["N", 3, 32, 32]), ("y", ["N", 10])]
    entrance, end = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(nodes, "linear", [entrance], [end], [layer])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_disk_that_is_full_while_a_file_is_taken_in_is_no_fault_of_the_file(client, toolkit, family, only_as_large):
    file = linear_network()
    only_as_large(len(file))
    answer = send(client, file, model_id="1001")
    assert_error(answer, 507)
    assert "cannot be written (File too large)" in answer.json["message"]
    assert list(toolkit.storage.all_weights.glob("[!.]*")) == [] and toolkit.database.weights.all() == []
