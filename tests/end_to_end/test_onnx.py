"""Networks leave as ONNX files, and come in as such."""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import training
from PIL import Image


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
