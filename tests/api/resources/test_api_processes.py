"""Trainings and inferences over HTTP, as far as no worker is needed."""

import base64
import io
import json
from uuid import UUID

import pytest
from api_sandbox import ABSENT_PROCESS, assert_error
from PIL import Image

D35_AUGMENTATIONS = 'AugRotate angle=[-5,5] center=(0,0) scale=0.5 interp="linear"\n'


@pytest.fixture
def request_body(project, dataset):
    return {
        "project_id": project["id"],
        "model_id": 1,
        "dataset_id": dataset["id"],
        "weights_id": None,
        "properties": [],
    }


def png_bytes():
    stream = io.BytesIO()
    Image.new("L", (28, 28), color=7).save(stream, "PNG")
    return stream.getvalue()


def test_a_training_starts_as_d35_prints_it(client, request_body):
    properties = [
        {"name": "Learning rate", "value": "1e-3"},
        {"name": "Loss function", "value": "CrossEntropy"},
        {"name": "Metric", "value": "CategoricalAccuracy"},
        {"name": "Augmentations", "value": D35_AUGMENTATIONS},
        {"name": "epochs", "value": 1},
        {"name": "batch_size", "value": [4]},
        {"name": "Input height", "value": []},
    ]
    answer = client.post("/backend/train/", json={**request_body, "properties": properties, "pretraining_id": 3})
    assert answer.status == "201 Created"
    assert list(answer.json) == ["result", "process_id", "weight_id"] and answer.json["result"] == "ok"
    assert str(UUID(answer.json["process_id"], version=4)) == answer.json["process_id"]
    settings = client.get(f"/backend/trainingSettings?modelweights_id={answer.json['weight_id']}").json
    used = {entry["property_id"]: entry["value"] for entry in settings}
    assert (used[1], used[3], used[4], used[8]) == ("1e-3", "1", "4", D35_AUGMENTATIONS)
    project = client.get(f"/backend/projects/{request_body['project_id']}").json
    assert project["modelweights_id"] == answer.json["weight_id"]


def test_a_form_brings_the_properties_as_json_text(client, request_body):
    form = {**request_body, "weights_id": "", "properties": json.dumps([{"name": "Epochs", "value": "2"}])}
    answer = client.post("/backend/train", data=form)
    assert answer.status_code == 201, answer.json
    settings = client.get(f"/backend/trainingSettings?modelweights_id={answer.json['weight_id']}&property_id=3").json
    assert settings[0]["value"] == "2"
    assert_error(client.post("/backend/train", data={**form, "properties": "[{"}), 422, "properties")


@pytest.mark.parametrize("field", ["project_id", "model_id", "dataset_id", "weights_id"])
def test_an_unknown_reference_is_a_fault_of_its_field(client, request_body, field):
    assert_error(client.post("/backend/train", json={**request_body, field: 99}), 422, field)


@pytest.mark.parametrize("field", ["project_id", "model_id", "dataset_id"])
def test_a_lacking_reference_is_a_malformed_request(client, request_body, field):
    del request_body[field]
    assert_error(client.post("/backend/train", json=request_body), 400, field)


@pytest.mark.parametrize(
    ("properties", "place"),
    [
        ("x", "properties"),
        ({"Epochs": 1}, "properties"),
        ([3], "properties.0"),
        ([{"name": "Epochs", "value": True}], "properties.0.value"),
        ([{"name": "Epochs", "value": [1, 2]}], "properties.0.value"),
        ([{"name": "Epochs", "value": [[1]]}], "properties.0.value"),
        ([{"name": "Epochs", "value": "x" * 100_001}], "properties.0.value"),
        ([{"name": "Epochs", "value": "0"}], "Epochs"),
        ([{"name": "Learning rate", "value": "fast"}], "Learning rate"),
        ([{"name": "Nothing", "value": 1}], "Nothing"),
        ([{"name": "Augmentations", "value": "AugNothing"}], "Training augmentations"),
        ([{"name": "Epochs", "value": 1}] * 101, "properties"),
    ],
)
def test_properties_that_cannot_be_used_leave_nothing_behind(client, request_body, settings, properties, place):
    before = list((settings.storage_dir / "runs").iterdir())  # the check of the dataset
    assert_error(client.post("/backend/train", json={**request_body, "properties": properties}), 422, place)
    assert list((settings.storage_dir / "runs").iterdir()) == before
    assert client.get("/backend/weights/1").status_code == 404


def test_a_waiting_process_is_running_to_a_client_from_the_first_moment(client, training):
    answer = client.get(f"/backend/status/?process_id={training['process_id']}")
    assert answer.status_code == 200 and answer.json["result"] == "ok"
    status = answer.json["status"]
    assert (status["process_type"], status["process_status"], status["process_state"]) == (
        "training",
        "running",
        "queued",
    )
    assert isinstance(status["process_data"], str) and status["queue_position"] == 1 and status["progress"] == 0
    for full in ("full=true", "full=1", "full"):
        lines = client.get(f"/backend/status?process_id={training['process_id']}&{full}").json["status"]["process_data"]
        assert isinstance(lines, list)


@pytest.mark.parametrize("process_id", [ABSENT_PROCESS, "x", "../../db", "a\0b", "9" * 5000, ABSENT_PROCESS.upper()])
def test_unknown_processes_are_404(client, process_id):
    for path in ("/backend/status", "/backend/output"):
        assert_error(client.get(path, query_string={"process_id": process_id}), 404)
    assert_error(client.post("/backend/stopProcess", json={"process_id": process_id}), 404)
    assert_error(client.post("/backend/stopProcess", data={"process_id": process_id}), 404)


def test_processes_need_an_id(client):
    assert_error(client.get("/backend/status"), 400, "process_id")
    assert_error(client.get("/backend/output"), 400, "process_id")
    assert_error(client.post("/backend/stopProcess", json={}), 400, "process_id")
    assert_error(client.post("/backend/stopProcess", json={"process_id": 5}), 422, "process_id")


def test_a_stopped_process_is_finished_and_cannot_be_stopped_again(client, training):
    body = {"process_id": training["process_id"]}
    answer = client.post("/backend/stopProcess/", data=body)
    assert answer.status == "200 OK" and answer.json == {"result": "Training stopped"}
    status = client.get("/backend/status", query_string=body).json["status"]
    assert (status["process_status"], status["process_state"]) == ("finished", "stopped")
    assert_error(client.post("/backend/stopProcess", json=body), 409)


def test_a_stopped_process_is_retried_as_a_new_one_and_one_that_waits_is_not(client, training):
    address = f"/backend/processes/{training['process_id']}/retry"
    assert_error(client.post(address), 409)
    client.post("/backend/stopProcess", json={"process_id": training["process_id"]})
    answer = client.post(address)
    assert answer.status == "201 Created" and answer.json["weight_id"] == training["weight_id"]
    assert answer.json["process_id"] != training["process_id"]
    assert_error(client.post(f"/backend/processes/{ABSENT_PROCESS}/retry"), 404)


def test_what_weights_learned_from_goes_with_them_when_asked(client, request_body, training):
    address = f"/backend/datasets/{request_body['dataset_id']}"
    assert_error(client.delete(f"{address}?cascade=true"), 409)
    client.post("/backend/stopProcess", json={"process_id": training["process_id"]})
    assert_error(client.delete(address), 409)
    assert client.delete(f"{address}?cascade=true").status_code == 204


def test_weights_without_a_file_are_a_conflict(client, request_body, training):
    body = {"modelweights_id": training["weight_id"], "dataset_id": request_body["dataset_id"], "project_id": 1}
    assert_error(client.post("/backend/inference", json=body), 409)


def test_an_inference_waits_without_outputs(client, weights, project, dataset):
    body = {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": project["id"]}
    answer = client.post("/backend/inference", data=body)
    assert answer.status == "201 Created" and list(answer.json) == ["result", "process_id"]
    query = {"process_id": answer.json["process_id"]}
    output = client.get("/backend/output", query_string=query)
    assert output.status_code == 200 and output.json["outputs"] == [] and output.json["result"]
    table = client.get("/backend/output", query_string={**query, "format": "csv"})
    assert table.mimetype == "text/csv" and table.text.startswith("image")
    assert_error(client.get("/backend/output", query_string={**query, "format": "xml"}), 422, "format")
    assert client.get("/backend/status", query_string=query).json["status"]["process_type"] == "inference"
    assert client.post("/backend/stopProcess", json=query).json == {"result": "Inference stopped"}


def test_one_image_comes_as_a_data_url_or_a_file(client, weights, project):
    ids = {"modelweights_id": weights["id"], "project_id": project["id"]}
    data_url = "data:image/png;base64," + base64.b64encode(png_bytes()).decode()
    assert client.post("/backend/inferenceSingle", json={**ids, "image_data": data_url}).status == "201 Created"
    assert client.post("/backend/inferenceSingle", data={**ids, "image_data": data_url}).status_code == 201
    file = (io.BytesIO(png_bytes()), "scan.png")
    assert client.post("/backend/inferenceSingle", data={**ids, "image": file, "image_url": ""}).status_code == 201


def test_what_has_not_ended_in_time_is_answered_without_its_output(client, weights, project):
    data_url = "data:image/png;base64," + base64.b64encode(png_bytes()).decode()
    body = {"modelweights_id": weights["id"], "project_id": project["id"], "image_data": data_url}
    answer = client.post("/backend/inferenceSingle?wait=0.05", json=body)
    assert answer.status == "201 Created" and set(answer.json) == {"result", "process_id"}
    for seconds in ("-1", "61", "nan", "inf", "soon"):
        assert_error(client.post(f"/backend/inferenceSingle?wait={seconds}", json=body), 422, "wait")


@pytest.mark.parametrize(
    ("image", "field"),
    [
        ({"image_url": "http://127.0.0.1/x.png"}, "image_url"),
        ({"image_url": "file:///etc/passwd"}, "image_url"),
        ({"image_url": 3}, "image_url"),
        ({"image_data": "data:image/png;base64,%%%"}, "image_data"),
        ({"image_data": "data:image/png;base64,aGVsbG8="}, "image_data"),
        ({"image": "text"}, "image"),
        ({"picture": "x"}, "picture"),
    ],
)
def test_images_that_cannot_be_used(client, weights, project, settings, image, field):
    body = {"modelweights_id": weights["id"], "project_id": project["id"], **image}
    runs = list((settings.storage_dir / "runs").iterdir())
    assert_error(client.post("/backend/inferenceSingle", json=body), 422, field)
    assert list((settings.storage_dir / "runs").iterdir()) == runs


@pytest.mark.parametrize("image", [{}, {"image_url": None}])
def test_no_image_at_all_is_a_malformed_request(client, weights, project, image):
    body = {"modelweights_id": weights["id"], "project_id": project["id"], **image}
    assert_error(client.post("/backend/inferenceSingle", json=body), 400, "image_url", "image_data", "image")


@pytest.mark.parametrize("name", ["0.png", "..", "../config.json", "..%2f..%2fconfig.json", "predictions.jsonl", "%00"])
def test_no_file_but_a_mask_is_served(client, training, name):
    assert_error(client.get(f"/backend/outputs/{training['process_id']}/{name}"), 404)
    assert_error(client.get(f"/backend/outputs/{ABSENT_PROCESS}/{name}"), 404)
