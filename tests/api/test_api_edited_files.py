"""Files of the storage folder that somebody edited: what needs them is refused by their name, all else is answered."""

import json

import pytest
from api_sandbox import WEIGHTS, assert_error

from app import create_app
from app.errors import StorageUnavailable

GONE = object()


def edit(path, **changes):
    """Change fields of a JSON object, or take them away."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not GONE}))


def edit_record(folder, table, record_id, **changes):
    path = folder / "db" / table / "1-100.json"
    values = json.loads(path.read_text())
    record = values[table][str(record_id)] | changes
    values[table][str(record_id)] = {name: value for name, value in record.items() if value is not GONE}
    path.write_text(json.dumps(values))


def run_of(weights):
    return f"runs/{weights['process_id']}"


# What is done to a file, the requests that need it, and what they are told.
EDITS = {
    "a field of weights is gone": (
        lambda root, w: edit_record(root, "weights", 1, settings=GONE),
        ["/weights/1", "/weights?model_id=1", "/trainingSettings?modelweights_id=1"],
        "db/weights/1-100.json has a fault in weights entry 1: at settings a value is expected",
    ),
    "a field of weights holds something else": (
        lambda root, w: edit_record(root, "weights", 1, model_id="one"),
        ["/weights/1"],
        "in weights entry 1: at model_id a whole number is expected",
    ),
    "settings by a name": (
        lambda root, w: edit_record(root, "weights", 1, settings={"Epochs": "3"}),
        ["/trainingSettings?modelweights_id=1"],
        "at settings.Epochs a whole number as the key is expected",
    ),
    "deep in a dataset": (
        lambda root, w: edit_record(root, "datasets", 1, splits={"training": "all"}),
        ["/datasets", "/datasets/1", "/datasets/1/report", "/datasets/1/images"],
        "in dataset 1: at splits.training a whole number is expected",
    ),
    "a config": (
        lambda root, w: edit(root / run_of(w) / "config.json", training={"metric": "dice"}),
        ["/status?process_id={process_id}", "/processes/{process_id}/metrics"],
        "config.json has a fault: at training.epochs a value is expected",
    ),
    "a state": (
        lambda root, w: edit(root / run_of(w) / "state.json", error=["no"]),
        ["/status?process_id={process_id}"],
        "state.json has a fault: at error a text or null is expected",
    ),
    "a card": (
        lambda root, w: edit(root / "weights/1/weights.json", value="good"),
        ["/processes/{process_id}/metrics"],
        "weights.json has a fault: at value a number or null is expected",
    ),
    "a row of metrics": (
        lambda root, w: (root / "weights/1/metrics.jsonl").write_text('{"epoch": "one", "split": "training"}\n'),
        ["/processes/{process_id}/metrics"],
        "metrics.jsonl has a fault in line 1: at epoch a whole number is expected",
    ),
    "the description is gone": (
        lambda root, w: (root / "datasets/1/dataset.yml").unlink(),
        ["/datasets/1/images", "/datasets/1/images/0/thumbnail"],
        "dataset.yml, the description of dataset 1, is gone",
    ),
    "the description is something else": (
        lambda root, w: (root / "datasets/1/dataset.yml").write_text("[]"),
        ["/datasets/1/images"],
        "dataset.yml is no description of a dataset any more",
    ),
    "a file in the place of a folder": (
        lambda root, w: (root / "datasets/1/thumbnails").write_text(""),
        ["/datasets/1/images/0/thumbnail"],
        "thumbnails cannot be used (File exists)",
    ),
    "the properties are gone": (
        lambda root, w: (root / "db/properties.json").write_text("{}"),
        [],
        "",
    ),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("is_started_anew", [False, True])
def test_what_needs_an_edited_file_is_refused_by_its_name(
    client, toolkit, settings, weights, project, name, is_started_anew
):
    do, paths, told = EDITS[name]
    do(toolkit.storage.root, weights)
    if is_started_anew:
        client = create_app(settings).test_client()

    for path in paths:
        answer = client.get("/backend" + path.format(**weights))
        assert_error(answer, 503)
        assert told in answer.json["message"], answer.json["message"]
    assert client.get(f"/backend/projects/{project['id']}").status_code == 200
    assert client.get("/backend/models").status_code == 200
    train = {"project_id": project["id"], "model_id": 1, "dataset_id": 1, "weights_id": 1, "properties": []}
    assert client.post("/backend/train", json=train).status_code in (201, 503)


def test_a_training_is_told_which_file_lacks_a_property(client, toolkit, project, weights):
    path = toolkit.database.folder / "properties.json"
    values = json.loads(path.read_text())
    del values["properties"]["1"]
    path.write_text(json.dumps(values))
    client.post("/backend/stopProcess", json={"process_id": weights["process_id"]})

    new = {"project_id": project["id"], "model_id": 1, "dataset_id": 1, "properties": []}
    for request in (new, {"resume": weights["process_id"]}):
        answer = client.post("/backend/train", json=request)
        assert_error(answer, 503)
        assert answer.json["message"] == (
            f"The file {path} lacks the property 'learning rate', which every training needs; "
            "correct it or restore a backup of it."
        )


@pytest.mark.parametrize("table", ["weights/1-100", "datasets/1-100", "projects/1-100", "models", "tasks"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]"])
def test_the_service_starts_with_a_file_of_records_that_cannot_be_read(
    client, toolkit, settings, weights, table, content
):
    path = toolkit.database.folder / f"{table}.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    elif "/" not in table:
        return  # a catalogue that is gone is made anew

    started = create_app(settings).test_client()

    name = table.partition("/")[0]
    answer = started.get(f"/backend/{name}?model_id=1" if name == "weights" else f"/backend/{name}")
    assert_error(answer, 503)
    assert str(path) in answer.json["message"]
    assert started.get("/backend/properties").status_code == 200
    assert (path.read_bytes() if path.exists() else None) == content, "nothing is overwritten"


def test_tokens_that_cannot_be_read_let_nobody_in(client, toolkit, settings):
    token = toolkit.tokens.create("lab")
    path = toolkit.database.folder / "tokens.json"
    edited = json.loads(path.read_text())
    edited["tokens"]["1"]["expires"] = "tomorrow"
    path.write_text(json.dumps(edited))

    for app in (client, create_app(settings).test_client()):
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            answer = app.get("/backend/projects", headers=headers)
            assert_error(answer, 503)
            assert "in token 1: at expires a time such as" in answer.json["message"]


@pytest.mark.parametrize("name", ["db", "db/weights", "runs", "weights", "datasets/.drafts", "unfinished"])
def test_a_file_in_the_place_of_a_folder_is_told_by_name(client, toolkit, settings, name):
    path = toolkit.storage.root / name
    path.rename(path.with_name("elsewhere"))
    path.touch()

    try:
        answer = create_app(settings).test_client().get("/backend/weights?model_id=1")
        told = answer.json["message"]
        assert answer.status_code == 503
    except StorageUnavailable as error:  # nothing can be served
        told = error.message
    assert str(path) in told


def test_uploaded_weights_whose_folder_is_gone_are_a_conflict(client, toolkit, project, dataset):
    toolkit.database.weights.add(WEIGHTS)
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"], "weights_id": 1}
    assert_error(client.post("/backend/train", json=body), 409)
