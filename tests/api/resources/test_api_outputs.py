"""Finished inferences: their rows, pages, tables and masks."""

import json

import pytest
from PIL import Image

from app.files import read_json, write_json
from app.runs.state import FINISHED
from app.runs.writer import write_final_state


@pytest.fixture
def inference(client, weights, project, dataset):
    """The id of an inference that waits."""
    body = {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": project["id"]}
    return client.post("/backend/inference", json=body).json["process_id"]


def finish(toolkit, process_id, rows):
    """Leave in the run folder what a worker leaves."""
    run = toolkit.storage.run(process_id)
    run.outputs.mkdir(exist_ok=True)
    run.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_final_state(run, FINISHED, "Finished")
    return run


def test_scores_are_the_text_of_a_nested_list(client, toolkit, inference):
    finish(toolkit, inference, [{"image": "6.png", "scores": [0.25, 0.75]}, {"image": "7.png", "scores": [1.0, 0.0]}])
    answer = client.get("/backend/output", query_string={"process_id": inference}).json
    assert answer["outputs"] == [["6.png", "[[0.25, 0.75]]"], ["7.png", "[[1.0, 0.0]]"]]
    assert answer["images"] == ["6.png", "7.png"]


def test_pages_of_outputs(client, toolkit, inference):
    finish(toolkit, inference, [{"image": f"{index}.png", "scores": [1.0]} for index in range(7)])
    page = client.get(f"/backend/output?process_id={inference}&page=3&page_size=3")
    assert page.json["images"] == ["6.png"]
    assert '"total": 7' in page.headers["X-Pagination"]


def test_a_table_has_a_header_line(client, toolkit, inference):
    finish(toolkit, inference, [{"image": "a,b.png", "scores": [0.25, 0.75]}])
    table = client.get(f"/backend/output?process_id={inference}&format=csv").text
    assert table.splitlines() == ["image,prediction,dark,light", '"a,b.png",light,0.25,0.75']


def test_a_table_of_labelled_images_ends_with_their_labels(client, toolkit, inference):
    rows = [{"image": "6.png", "scores": [0.25, 0.75], "target": 0}, {"image": "7.png", "scores": [0.5, 0.5]}]
    finish(toolkit, inference, rows)
    table = client.get(f"/backend/output?process_id={inference}&format=csv").text
    assert table.splitlines() == [
        "image,prediction,dark,light,label", "6.png,light,0.25,0.75,dark", "7.png,dark,0.5,0.5,",
    ]  # fmt: skip


def test_a_table_of_images_with_any_number_of_classes_names_all_that_are_decided(client, toolkit, inference):
    run = finish(toolkit, inference, [
        {"image": "6.png", "scores": [0.5, 0.75], "target": [0, 1]},
        {"image": "7.png", "scores": [0.25, 0.49], "target": []},
    ])  # fmt: skip
    write_json(run.config, read_json(run.config) | {"is_multi_label": True})
    table = client.get(f"/backend/output?process_id={inference}&format=csv").text
    assert table.splitlines() == [
        "image,prediction,dark,light,label", "6.png,dark; light,0.5,0.75,dark; light", "7.png,,0.25,0.49,",
    ]  # fmt: skip


def test_pages_of_a_table(client, toolkit, inference):
    finish(toolkit, inference, [{"image": f"{index}.png", "scores": [1.0, 0.0]} for index in range(7)])
    table = client.get(f"/backend/output?process_id={inference}&format=csv&page=2&page_size=3").text
    assert [line.partition(",")[0] for line in table.splitlines()] == ["image", "3.png", "4.png", "5.png"]


def test_a_table_of_an_inference_that_still_runs_has_no_rows(client, toolkit, inference):
    toolkit.storage.run(inference).predictions.write_text(json.dumps({"image": "6.png", "scores": [1.0, 0.0]}) + "\n")
    table = client.get(f"/backend/output?process_id={inference}&format=csv").text
    assert table.splitlines() == ["image,prediction,dark,light"]


def test_a_table_of_masks_has_the_scores_of_each(client, toolkit, inference):
    scores = {"dice": {"cell": 0.5}, "hd95": {"cell": None}}
    finish(toolkit, inference, [{"image": "6.png", "mask": "0.png", "scores": scores}])
    table = client.get(f"/backend/output?process_id={inference}&format=csv").text
    address = f"http://localhost/backend/outputs/{inference}/0.png"
    assert table.splitlines() == ["image,mask,dice_cell,hd95_cell", f"6.png,{address},0.5,"]


def test_a_table_of_masks_has_empty_cells_for_images_that_have_none_to_compare_with(client, toolkit, inference):
    rows = [{"image": f"{index}.png", "mask": f"{index}.png"} for index in range(3)]
    rows[1]["scores"] = {"dice": {"cell": 0.5}, "iou": {"cell": 0.25}}
    finish(toolkit, inference, rows)
    header, *table = client.get(f"/backend/output?process_id={inference}&format=csv").text.splitlines()
    assert header == "image,mask,dice_cell,iou_cell"
    assert [line.split(",")[2:] for line in table] == [["", ""], ["0.5", "0.25"], ["", ""]]


def test_masks_are_served_at_their_urls(client, toolkit, inference):
    run = finish(toolkit, inference, [{"image": "6.png", "mask": "0 1.png"}])
    Image.new("L", (5, 3)).save(run.outputs / "0 1.png")
    [address] = client.get(f"/backend/output?process_id={inference}").json["outputs"]
    assert address == f"http://localhost/backend/outputs/{inference}/0%201.png"
    mask = client.get(address.removeprefix("http://localhost"))
    assert mask.mimetype == "image/png" and mask.data == (run.outputs / "0 1.png").read_bytes()
