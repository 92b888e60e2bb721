"""D3.5 section 8, walked over HTTP."""

import ast
import base64
import io
import json
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from conftest import training
from PIL import Image

# The body of D3.5 7.13, but for the ids.
D35_PROPERTIES = [
    {"name": "Learning rate", "value": "1e-3"},
    {"name": "Loss function", "value": "CrossEntropy"},
    {"name": "Metric", "value": "CategoricalAccuracy"},
    {"name": "Augmentations", "value": 'AugRotate angle=[-5,5] center=(0,0) scale=0.5 interp="linear"\n'},
    {"name": "Epochs", "value": "1"},
    {"name": "Input height", "value": "30"},
    {"name": "Input width", "value": "30"},
]
# The text of D3.5 8.1, as it is printed.
D35_AUGMENTATIONS = (
    'SequentialAugmentationContainer\n AugRotate angle=[-5,5] center=(0,0) interp="linear"\n'
    " AugCoarseDropout p=[0,0.55] drop_size=[0.02,0.1] per_channel=0,\n OneOfAugmentationContainer\n"
    " AugAdditiveLaplaceNoise std_dev=[0,51]\n AugAdditivePoissonNoise lambda=[0,40]\n end\nend\n"
)


def test_the_training_that_d35_prints(client, sides, project):
    body = {"model_id": 1, "weights_id": None, "properties": D35_PROPERTIES, "dataset_id": sides["id"]}
    answer = client.post("/train", body | {"project_id": project["id"]})

    assert answer["result"] == "ok"
    first = client.status(answer["process_id"])
    assert (first["process_type"], first["process_status"]) == ("training", "running")
    status = client.wait(answer["process_id"])

    assert (status["process_status"], status["process_state"], status["progress"]) == ("finished", "finished", 1)
    assert "categorical_accuracy=" in status["process_data"]
    settings = client.get(f"/trainingSettings?modelweights_id={answer['weight_id']}")
    assert {"modelweights_id": answer["weight_id"], "property_id": 6, "value": "30"} in settings
    assert len(settings) == len(client.get("/properties"))


def test_the_augmentations_that_d35_prints(client, sides, project):
    answer = client.post("/train", training(sides, project, Epochs="1", Augmentations=D35_AUGMENTATIONS))

    assert client.wait(answer["process_id"])["process_status"] == "finished"


def test_weights_are_listed_with_their_log_and_the_project_shows_them(client, service, trained, sides, project):
    weights = client.get(f"/weights/{trained['weight_id']}")

    assert weights["name"].startswith("LeNet_Sides_20")
    assert (weights["model_id"], weights["task_id"], weights["dataset_id"]) == (1, 1, sides["id"])
    assert weights in client.get("/weights?model_id=1")
    assert "Train 1/8" in Path(weights["logfile"]).read_text()
    folder = service.storage / "weights" / str(weights["id"])
    assert {"best.pt", "last.pt", "log.txt", "metrics.jsonl"} <= {path.name for path in folder.iterdir()}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["split"], row["samples"]) for row in rows[:2]] == [
        (1, "training", 15),
        (1, "validation", 8),
    ]
    assert len(rows) == 16


def test_the_run_folder_explains_itself(service, trained):
    config = json.loads((service.storage / "runs" / trained["process_id"] / "config.json").read_text())

    assert config["training"]["seed"] == 0 and config["training"]["learning_rate"] == 3e-3
    assert {"python", "torch", "monai", "numpy"} <= set(config["environment"])
    assert len(config["dataset"]["fingerprint"]) == 64


def test_inference_answers_a_row_for_every_test_image_in_the_dataset_order(client, sides, sides_yaml, project, trained):
    body = {"modelweights_id": trained["weight_id"], "dataset_id": sides["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    early = client.get(f"/output?process_id={process_id}")
    assert isinstance(early["outputs"], list)
    assert client.wait(process_id)["process_status"] == "finished"

    answer = client.get(f"/output?process_id={process_id}")

    description = yaml.safe_load(sides_yaml.read_text())
    test = description["split"]["test"]
    assert [row[0] for row in answer["outputs"]] == [description["images"][index]["location"] for index in test]
    scores = np.array([ast.literal_eval(row[1])[0] for row in answer["outputs"]])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    truth = np.array([["left", "right"].index(description["images"][index]["label"]) for index in test])
    accuracy = np.mean(scores.argmax(axis=1) == truth)
    assert accuracy == 1
    assert answer["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert client.get(f"/projects/{project['id']}")["inference_id"] is not None


def test_forms_are_accepted_as_the_load_client_of_the_time_sends_them(client, sides, project, trained):
    fields = {"modelweights_id": trained["weight_id"], "dataset_id": sides["id"], "project_id": project["id"]}
    status, answer = client.send(
        "POST",
        "/inference",
        fields={name: str(value) for name, value in fields.items()},
        encode_multipart=False,
    )

    assert status == 201
    assert client.wait(answer["process_id"])["process_status"] == "finished"


def one_image(value=150) -> bytes:
    pixels = np.zeros((12, 14, 3), np.uint8)
    pixels[:, :7] = value
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def image_url(tmp_path):
    (tmp_path / "left.png").write_bytes(one_image())
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/left.png"
        server.shutdown()


@pytest.mark.parametrize("way", ["image_url", "image_data", "image"])
def test_one_image_is_answered_however_it_comes(client, project, trained, image_url, way):
    ids = {"modelweights_id": trained["weight_id"], "project_id": project["id"]}
    if way == "image":
        fields = {name: str(value) for name, value in ids.items()} | {"image": ("left.png", one_image(), "image/png")}
        answer = client.post("/inferenceSingle", fields=fields)
    else:
        data = "data:image/png;base64," + base64.b64encode(one_image()).decode()
        answer = client.post("/inferenceSingle", ids | {way: image_url if way == "image_url" else data})
    assert client.wait(answer["process_id"])["process_status"] == "finished"

    ((location, scores),) = client.get(f"/output?process_id={answer['process_id']}")["outputs"]

    assert location == (image_url if way == "image_url" else "image")
    left, right = ast.literal_eval(scores)[0]
    assert left > 0.5 > right


def test_an_output_that_is_waited_for_comes_with_the_answer_from_a_process_that_stays(
    client, service, project, trained
):
    def answer():
        data = "data:image/png;base64," + base64.b64encode(one_image()).decode()
        body = {"modelweights_id": trained["weight_id"], "project_id": project["id"], "image_data": data}
        return client.post("/inferenceSingle?wait=60", body)

    first = answer()
    output = client.get(f"/output?process_id={first['process_id']}")
    assert first["result"] == "ok" and first["outputs"] == output["outputs"] != []
    horses = horses_of_inference(service)
    assert len(horses) == 1
    assert answer()["outputs"] == first["outputs"] and horses_of_inference(service) == horses

    horses[0].kill()  # while it waits for the next one
    assert answer()["outputs"] == first["outputs"]
    assert len(horses_of_inference(service)) == 1


def horses_of_inference(service):
    """Return the living work-horses: children of the worker, which runs as they do."""
    horses = []
    for program in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            is_child = program.parent().cmdline()[-2:] == ["worker.py", "inference"]
            if is_child and program.status() != psutil.STATUS_ZOMBIE:
                horses.append(program)
    return horses


def test_segmentation_gives_masks_at_the_size_of_the_images(client, discs, discs_yaml):
    project = client.post("/projects", {"name": "Segment", "task_id": 2})
    body = training(
        discs,
        project,
        model_id=2,
        Epochs="12",
        Batch_size="2",
        Input_height="32",
        Input_width="32",
        Learning_rate="5e-3",
    )
    trained = client.post("/train", body)
    assert client.wait(trained["process_id"])["process_status"] == "finished"
    body = {"modelweights_id": trained["weight_id"], "dataset_id": discs["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    assert client.wait(process_id)["process_status"] == "finished"

    answer = client.get(f"/output?process_id={process_id}")

    assert answer["images"] == ["9.png", "7.png", "8.png"]
    scores = []
    for url, name in zip(answer["outputs"], ("9", "7", "8"), strict=True):
        assert url.startswith(client.base)
        _, content = client.send("GET", url.removeprefix(f"{client.base}/backend"))
        predicted = np.array(Image.open(io.BytesIO(content)))
        truth = np.array(Image.open(discs_yaml.parent / f"{name}_mask.png"))
        assert predicted.shape == (36, 40) and set(np.unique(predicted)) <= {0, 255}
        scores.append(2 * np.sum((predicted > 0) & (truth > 0)) / (np.sum(predicted > 0) + np.sum(truth > 0)))
    assert answer["metrics"]["dice"] == pytest.approx(np.mean(scores), abs=1e-9)
    assert np.mean(scores) > 0.8


def test_fine_tuning_starts_from_the_weights_and_says_so(client, sides, project, trained):
    body = training(sides, project, weights_id=trained["weight_id"], Epochs="1", Learning_rate="1e-6")
    answer = client.post("/train", body)
    status = client.wait(answer["process_id"])

    weights = client.get(f"/weights/{answer['weight_id']}")
    assert weights["pretrained_on"] == trained["weight_id"]
    assert "categorical_accuracy=1.000" in status["process_data"]
    said = f"Started from weights {trained['weight_id']}; drawn anew: nothing"
    assert said in Path(weights["logfile"]).read_text()


def test_a_seed_makes_two_trainings_bit_identical(client, service, sides, project):
    def trained_with(seed):
        body = training(sides, project, Epochs="2", Seed=seed, Augmentations=D35_AUGMENTATIONS)
        answer = client.post("/train", body)
        client.wait(answer["process_id"])
        return (service.storage / "weights" / str(answer["weight_id"]) / "best.pt").read_bytes()

    assert trained_with(5) == trained_with(5) != trained_with(6)
