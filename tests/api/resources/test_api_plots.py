"""Plots over the API: each drawn by a program of its own, and kept."""

import json

import pytest
from api_sandbox import ABSENT_PROCESS, assert_error
from test_api_process_metrics import ROWS, write_rows

from app.runs.state import FINISHED
from app.runs.writer import write_final_state

NUMBERS = {"accuracy": 0.5, "confusion_matrix": [[1, 0], [1, 0]]}


@pytest.fixture
def inference(client, toolkit, weights, project, dataset):
    """The id of an inference that has finished."""
    body = {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": project["id"]}
    process_id = client.post("/backend/inference", json=body).json["process_id"]
    run = toolkit.storage.run(process_id)
    rows = [{"image": f"{index}.png", "scores": [0.6, 0.4], "target": index} for index in range(2)]
    run.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.metrics.write_text(json.dumps(NUMBERS))
    write_final_state(run, FINISHED, "Finished")
    return process_id


def test_curves_as_png(client, inference):
    answer = client.get(f"/backend/processes/{inference}/plots/roc.png")
    assert answer.mimetype == "image/png"
    assert answer.data.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_confusion_matrix_as_svg(client, inference):
    answer = client.get(f"/backend/processes/{inference}/plots/confusion_matrix.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.data.startswith(b"<?xml")
    assert b"dark" in answer.data  # the comment that Matplotlib writes beside each text


def test_curves_are_drawn_anew_when_they_have_grown(client, toolkit, training):
    address = f"/backend/processes/{training['process_id']}/plots/loss.svg"
    write_rows(toolkit, training["weight_id"], ROWS[:2])
    first = client.get(address).data
    assert client.get(address).data == first
    write_rows(toolkit, training["weight_id"])
    assert client.get(address).data != first
    assert len(list(toolkit.storage.run(training["process_id"]).plots.iterdir())) == 1


def test_nothing_to_draw_yet(client, training):
    address = f"/backend/processes/{training['process_id']}/plots"
    assert_error(client.get(f"{address}/metric.png"), 409)


@pytest.mark.parametrize("name", ["roc.png", "loss.pdf", "loss", ".png", "loss.svg.png"])
def test_unknown_plots_are_told_what_there_is(client, training, name):
    answer = client.get(f"/backend/processes/{training['process_id']}/plots/{name}")
    assert_error(answer, 404)
    assert "loss.png, loss.svg, metric.png, metric.svg" in answer.json["message"]


def test_unknown_processes(client):
    assert_error(client.get(f"/backend/processes/{ABSENT_PROCESS}/plots/loss.png"), 404)


def test_images_of_several_classes_have_curves_but_no_confusion_matrix(client, toolkit, inference):
    run = toolkit.storage.run(inference)
    run.metrics.write_text(json.dumps({"binary_accuracy": 0.5}))
    rows = [{"image": f"{index}.png", "scores": [0.6, 0.4], "target": [index]} for index in range(2)]
    run.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))

    assert client.get(f"/backend/processes/{inference}/plots/roc.svg").status_code == 200
    refused = client.get(f"/backend/processes/{inference}/plots/confusion_matrix.svg")
    assert_error(refused, 409)
    assert "any number of classes each" in refused.json["message"]
