"""What a process measured: curves of a training, numbers of an inference."""

import json

from api_sandbox import ABSENT_PROCESS, assert_error, give_file

ROWS = [
    {"epoch": 1, "split": "training", "loss": 0.7, "categorical_accuracy": 0.5, "samples": 4, "seconds": 0.1},
    {"epoch": 1, "split": "validation", "loss": 0.6, "categorical_accuracy": 1.0, "samples": 2, "seconds": 0.1},
    {"epoch": 2, "split": "training", "loss": 0.5, "categorical_accuracy": 0.75, "samples": 4, "seconds": 0.1},
]


def write_rows(toolkit, weights_id, rows=ROWS):
    """Leave what a worker leaves, the last line not yet whole."""
    path = toolkit.storage.weights(weights_id).metrics
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"epoch": 2, "spl')


def test_a_waiting_training_has_no_curves_yet(client, training):
    answer = client.get(f"/backend/processes/{training['process_id']}/metrics")
    assert answer.status_code == 200
    assert answer.json == {
        "process_id": training["process_id"],
        "process_type": "training",
        "process_state": "queued",
        "curves": {},
        "best": None,
        "metrics": None,
    }


def test_curves_are_rows_by_split(client, toolkit, training):
    write_rows(toolkit, training["weight_id"])
    give_file(toolkit, training["weight_id"], training["process_id"])
    answer = client.get(f"/backend/processes/{training['process_id']}/metrics").json
    assert [row["loss"] for row in answer["curves"]["training"]] == [0.7, 0.5]
    assert answer["curves"]["validation"] == [{name: ROWS[1][name] for name in ROWS[1] if name != "split"}]
    assert answer["best"]["epoch"] == 1


def test_numbers_of_an_inference(client, toolkit, weights, project, dataset):
    body = {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": project["id"]}
    process_id = client.post("/backend/inference", json=body).json["process_id"]
    toolkit.storage.run(process_id).metrics.write_text('{"accuracy": 0.5, "intervals": {"accuracy": [0.0, 1.0]}}')
    answer = client.get(f"/backend/processes/{process_id}/metrics").json
    assert answer["metrics"] == {"accuracy": 0.5, "intervals": {"accuracy": [0.0, 1.0]}}
    assert answer["curves"] == {}


def test_unknown_processes(client):
    assert_error(client.get(f"/backend/processes/{ABSENT_PROCESS}/metrics"), 404)
    assert_error(client.get("/backend/processes/..%2f..%2fdb/metrics"), 404)
