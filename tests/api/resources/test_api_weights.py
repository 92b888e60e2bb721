"""Weights and the settings of their training."""

import pytest
from api_sandbox import assert_error, give_export

FIELDS = ["id", "name", "logfile", "model_id", "task_id", "dataset_id", "pretrained_on", "celery_id"]
FIELDS += ["replaced_layers", "onnx_export", "upload"]


def test_weights_are_read_from_the_start_and_listed_from_their_first_file(client, toolkit, training):
    weights_id = training["weight_id"]
    record = client.get(f"/backend/weights/{weights_id}").json
    assert list(record) == FIELDS
    assert record["celery_id"] == training["process_id"]
    assert client.get("/backend/weights?model_id=1").json == []
    toolkit.storage.weights(weights_id).card.write_text('{"config": {}}')
    assert client.get("/backend/weights/?model_id=1").json == [record]


def test_the_list_needs_a_model_and_takes_a_dataset(client, weights):
    assert_error(client.get("/backend/weights"), 400, "model_id")
    assert client.get("/backend/weights?model_id=2").json == []
    assert len(client.get(f"/backend/weights?model_id=1&dataset_id={weights['dataset_id']}").json) == 1
    assert client.get("/backend/weights?model_id=1&dataset_id=99").json == []


def test_renaming_with_the_id_in_the_body_answers_all_of_the_model(client, weights):
    before = client.get(f"/backend/weights/{weights['id']}").json
    body = {key: before[key] for key in ("id", "dataset_id", "model_id", "pretrained_on", "task_id")}
    answer = client.put("/backend/weights", json={**body, "name": "best"})
    assert answer.json == [{**before, "name": "best"}] == client.get("/backend/weights?model_id=1").json


def test_renaming_on_the_path_changes_the_name_alone(client, weights):
    before = client.get(f"/backend/weights/{weights['id']}").json
    answer = client.put(f"/backend/weights/{weights['id']}/", json={"name": "best", "model_id": 2, "logfile": "/x"})
    assert answer.json == {**before, "name": "best"}


def test_renaming_refuses_what_is_no_name_or_no_field(client, weights):
    assert_error(client.put("/backend/weights", json={"id": weights["id"], "name": " "}), 422, "name")
    assert_error(client.put("/backend/weights", json={"id": weights["id"], "name": "a", "colour": 1}), 422, "colour")
    assert_error(client.put("/backend/weights", json={"name": "a"}), 400, "id")
    assert_error(client.put("/backend/weights", json={"id": 99, "name": "a"}), 404)
    assert_error(client.put("/backend/weights/99", json={"name": "a"}), 404)


def test_deleting_takes_the_files_along(client, toolkit, weights, training):
    assert_error(client.delete(f"/backend/weights/{weights['id']}"), 409)
    client.post("/backend/stopProcess", json={"process_id": training["process_id"]})
    assert client.delete(f"/backend/weights/{weights['id']}").status_code == 204
    assert_error(client.get(f"/backend/weights/{weights['id']}"), 404)
    assert not toolkit.storage.weights(weights["id"]).path.exists()


def test_every_property_of_a_training_is_listed_defaults_included(client, training):
    address = f"/backend/trainingSettings?modelweights_id={training['weight_id']}"
    settings = client.get(address).json
    ids = [entry["id"] for entry in client.get("/backend/properties").json]
    assert [entry["property_id"] for entry in settings] == ids
    assert all(list(entry) == ["modelweights_id", "property_id", "value"] for entry in settings)
    epochs = {"modelweights_id": training["weight_id"], "property_id": 3, "value": "50"}
    assert client.get(f"{address}&property_id=3").json == [epochs]
    assert client.get("/backend/trainingSettings?modelweights_id=99").json == []
    assert_error(client.get("/backend/trainingSettings?property_id=3"), 400, "modelweights_id")


def test_a_download_before_there_are_weights_says_when_there_will_be_some(client, training):
    address = f"/backend/weights/{training['weight_id']}/download"
    assert_error(client.get(address), 409)
    assert "wait until" in client.get(address).json["message"]
    assert_error(client.get("/backend/weights/99/download"), 404)


def test_an_exported_file_is_sent_with_what_a_client_needs_to_resume(client, toolkit, weights):
    address = f"/backend/weights/{weights['id']}/download"
    give_export(toolkit, weights["id"], b"0123456789")
    client.put(f"/backend/weights/{weights['id']}", json={"name": "Das beste: für Łódź"})
    answer = client.get(address)
    assert answer.data == b"0123456789"
    assert answer.cache_control.private and not answer.cache_control.public  # no proxy keeps it for others
    assert "filename*=UTF-8''Das-beste-f%C3%BCr-%C5%81%C3%B3d%C5%BA.onnx" in answer.headers["Content-Disposition"]
    head = client.head(address)
    assert head.status_code == 200 and head.headers["Content-Length"] == "10" and not head.data
    part = client.get(address, headers={"Range": "bytes=4-6", "If-Range": head.headers["ETag"]})
    assert part.status_code == 206 and part.data == b"456"
    behind = client.get(address, headers={"Range": "bytes=10-"})
    assert_error(behind, 416)
    assert behind.headers["Content-Range"] == "bytes */10"
    give_export(toolkit, weights["id"], b"other")
    assert client.get(address, headers={"Range": "bytes=4-6", "If-Range": head.headers["ETag"]}).data == b"other"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["If-None-Match", "Range", "Accept"])
def test_downloads_that_have_ended_keep_no_others_out(client, toolkit, weights, method, name):
    address = f"/backend/weights/{weights['id']}/download"
    give_export(toolkit, weights["id"], b"0123456789")
    values = {"If-None-Match": client.head(address).headers["ETag"], "Range": "bytes=4-6", "Accept": "*/*"}
    for _ in range(30):
        answer = client.open(address, method=method, headers={name: values[name]}, buffered=True)
        assert answer.status_code in (200, 206, 304)


def test_weights_whose_file_cannot_be_read_are_not_exported(client, toolkit, weights):
    toolkit.storage.weights(weights["id"]).best.write_bytes(b"no weights")
    answer = client.get(f"/backend/weights/{weights['id']}/download")
    assert_error(answer, 409)
    assert "best.pt cannot be read" in answer.json["message"]
    assert "best.pt cannot" in client.get(f"/backend/weights/{weights['id']}").json["onnx_export"]["error"]
