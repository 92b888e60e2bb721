"""Networks leave as ONNX files, and come in as such."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import training
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1] / "engines"))  # for the files of other programs
from onnx_files import eddl_like


def fetched(client, weights_id, **headers):
    """Return the answer to a download."""
    address = f"{client.base}/backend/weights/{weights_id}/download"
    return client._http.request("GET", address, headers=headers, retries=False, timeout=120)


def facts_in(content):
    """Return the metadata of an ONNX file."""
    return {entry.key: entry.value for entry in onnx.ModelProto.FromString(content).metadata_props}


def computed(content, images):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


@pytest.fixture(scope="module")
def downloaded(client, trained):
    answer = fetched(client, trained["weight_id"])
    assert answer.status == 200, answer.data
    return answer


def test_a_finished_training_has_its_file_with_all_that_is_needed_to_use_it(client, trained, downloaded):
    record = client.get(f"/weights/{trained['weight_id']}")
    assert record["onnx_export"]["error"] is None and not record["onnx_export"]["is_noise"]
    assert record["onnx_export"]["image_count"] == 8
    assert 0 <= record["onnx_export"]["relative_difference"] < 1e-4

    facts = facts_in(downloaded.data)
    assert json.loads(facts["deephealth.classes"]) == ["left", "right"]
    assert facts["deephealth.colour_type"] == "GRAY"
    assert json.loads(facts["deephealth.input_size"]) == {"height": 28, "width": 28, "channels": 1}
    assert json.loads(facts["deephealth.metrics"])["metric"] == "categorical_accuracy"
    name = record["name"].replace(":", "-")
    assert downloaded.headers["Content-Disposition"] == f"attachment; filename={name}.onnx"


def test_the_file_gives_what_an_inference_gives(client, trained, downloaded, sides, project, sides_yaml):
    body = {"modelweights_id": trained["weight_id"], "dataset_id": sides["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    client.wait(process_id)
    rows = client.get(f"/output?process_id={process_id}")["outputs"]
    images = [Image.open(sides_yaml.parent / image).resize((28, 28), Image.Resampling.BILINEAR) for image, _ in rows]
    batch = np.stack([np.asarray(image, np.float32)[None] / 255 for image in images])

    scores = np.array([json.loads(text)[0] for _, text in rows])
    np.testing.assert_allclose(computed(downloaded.data, batch), scores, atol=0.02)  # Pillow rounds resized pixels


def test_a_download_that_was_cut_off_goes_on_where_it_ended(client, trained, downloaded):
    whole, etag = downloaded.data, downloaded.headers["ETag"]
    assert downloaded.headers["Accept-Ranges"] == "bytes"

    rest = fetched(client, trained["weight_id"], Range="bytes=1000-", **{"If-Range": etag})
    assert rest.status == 206 and rest.data == whole[1000:]
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    other = fetched(client, trained["weight_id"], Range="bytes=1000-", **{"If-Range": '"other"'})
    assert other.status == 200 and other.data == whole
    behind = fetched(client, trained["weight_id"], Range=f"bytes={len(whole)}-")
    assert behind.status == 416 and behind.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert fetched(client, trained["weight_id"], **{"If-None-Match": etag}).status == 304


def test_weights_of_a_stopped_training_are_exported_when_they_are_downloaded(client, sides, project):
    answer = client.post("/train", training(sides, project, Epochs="100000"))
    status, refusal = client.send("GET", f"/weights/{answer['weight_id']}/download")
    assert status == 409 and "no file yet" in refusal["message"]
    client.wait(answer["process_id"], lambda status: re.search(r" ([2-9]|[1-9]\d+)/", status["process_data"]))
    client.post("/stopProcess", {"process_id": answer["process_id"]})
    client.wait(answer["process_id"])
    assert client.get(f"/weights/{answer['weight_id']}")["onnx_export"] is None

    assert facts_in(fetched(client, answer["weight_id"]).data)["deephealth.dataset"] == "Sides"

    assert client.get(f"/weights/{answer['weight_id']}")["onnx_export"]["image_count"] == 8


def uploaded(client, content, **fields):
    """Send a file as a browser's form does; return status and answer."""
    return client.send("POST", "/weights", fields={"file": ("net.onnx", content), **fields})


@pytest.fixture(scope="module")
def family(client):
    return client.post("/models", {"name": "From elsewhere", "task_id": 1})


@pytest.fixture(scope="module")
def foreign(client, family, tmp_path_factory):
    """A file as EDDL writes it, uploaded."""
    path = eddl_like(tmp_path_factory.mktemp("foreign") / "net.onnx")
    fields = {"name": "Ours", "model_id": str(family["id"]), "classes": "a,b,c", "layer_to_remove": "dense1"}
    status, answer = uploaded(client, path.read_bytes(), **fields)
    assert status == 201, answer
    return answer


def test_an_uploaded_network_predicts(client, foreign, sides, project):
    assert foreign["upload"]["classes"] == ["a", "b", "c"] and foreign["upload"]["last_layer"] == "Gemm_6"
    assert foreign["onnx_export"]["relative_difference"] < 1e-4
    assert [each["id"] for each in client.get(f"/weights?model_id={foreign['model_id']}")] == [foreign["id"]]
    body = {"modelweights_id": foreign["id"], "dataset_id": sides["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    assert client.wait(process_id)["process_status"] == "finished"
    rows = client.get(f"/output?process_id={process_id}")["outputs"]
    assert len(rows) == 23 and all(sum(json.loads(scores)[0]) == pytest.approx(1) for _, scores in rows)


def test_an_uploaded_network_learns_other_classes_and_leaves_again(client, foreign, sides, project):
    body = training(sides, project, foreign["model_id"], foreign["id"], Epochs="30", Learning_rate="0.01")
    answer = client.post("/train", body)
    assert client.wait(answer["process_id"])["process_status"] == "finished"
    tuned = client.get(f"/weights/{answer['weight_id']}")
    assert tuned["pretrained_on"] == foreign["id"]
    assert tuned["replaced_layers"] == ["dense1_W", "dense1_b"]
    facts = facts_in(fetched(client, tuned["id"]).data)
    assert json.loads(facts["deephealth.classes"]) == ["left", "right"]
    assert json.loads(facts["deephealth.metrics"])["value"] > 0.9

    answer = client.post("/train", training(sides, project, foreign["model_id"], tuned["id"], Epochs="1"))
    assert client.wait(answer["process_id"])["process_status"] == "finished"
    assert client.get(f"/weights/{answer['weight_id']}")["replaced_layers"] == []


def test_what_was_downloaded_is_uploaded_without_a_word_of_explanation(client, trained, downloaded, sides, project):
    status, copy = uploaded(client, downloaded.data, name="Copy", model_id="1")
    assert status == 201 and copy["upload"]["classes"] == ["left", "right"]
    assert copy["upload"]["parameter_count"] > 1_000_000

    outputs = []
    for weights_id in (trained["weight_id"], copy["id"]):
        body = {"modelweights_id": weights_id, "dataset_id": sides["id"], "project_id": project["id"]}
        process_id = client.post("/inference", body)["process_id"]
        client.wait(process_id)
        rows = client.get(f"/output?process_id={process_id}")["outputs"]
        outputs.append([json.loads(text)[0] for _, text in rows])
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5)


def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_stored(client, service, family):
    before = sorted((service.storage / "weights").iterdir())
    fields = {"name": "Bad", "model_id": str(family["id"])}
    for content in (b"\x80\x04pickle", b"no network", b""):
        status, answer = uploaded(client, content, **fields)
        assert status == 422 and answer["errors"]["file"] == [answer["message"]]
    assert sorted((service.storage / "weights").iterdir()) == before
    assert len(client.get(f"/weights?model_id={family['id']}")) == 3


def test_a_training_begins_with_a_file_that_somebody_placed(client, service, downloaded, sides, project):
    body = training(sides, project, Epochs="1", Pretrained="File")
    status, refusal = client.send("POST", "/train", body)
    assert status == 422 and "place one as weights/pretrained/lenet.pth" in refusal["errors"]["Pretrained"][0]
    folder = service.storage / "weights" / "pretrained"
    folder.mkdir()
    (folder / "lenet.onnx").write_bytes(downloaded.data)

    answer = client.post("/train", body)

    assert client.wait(answer["process_id"])["process_status"] == "finished"
    record = client.get(f"/weights/{answer['weight_id']}")
    assert record["replaced_layers"] == [] and record["pretrained_on"] is None
    assert "Started from lenet.onnx; drawn anew: nothing" in Path(record["logfile"]).read_text()
    assert client.send("POST", "/train", body | {"weights_id": answer["weight_id"]})[0] == 422
    library = training(sides, project, Pretrained="Library")
    assert "densenet121 and efficientnet_b0 only" in client.send("POST", "/train", library)[1]["message"]
