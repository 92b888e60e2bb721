"""Images that have none of the classes, or several: from the dataset file to the table of an inference."""

import csv
import io

import numpy as np
import pytest
from conftest import training
from PIL import Image

CLASSES = ["top", "left"]


@pytest.fixture(scope="module")
def bars(client, data_root):
    """48 images that are bright at the top, at the left, at both or at neither."""
    folder = data_root / "bars"
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for index in range(48):
        pixels = generator.integers(0, 60, (14, 14), dtype=np.uint8)
        shown = [name for bit, name in enumerate(CLASSES) if index >> bit & 1]
        pixels[:4] += np.uint8(100 * ("top" in shown))
        pixels[:, :4] += np.uint8(90 * ("left" in shown))
        Image.fromarray(pixels).save(folder / f"{index}.png")
        lines.append(f"  - {{location: {index}.png, label: [{', '.join(shown)}]}}")
    split = f"split: {{training: {list(range(24))}, validation: {list(range(24, 32))}, test: {list(range(32, 48))}}}"
    (folder / "bars.yml").write_text("\n".join([f"classes: {CLASSES}", "images:", *lines, split, ""]))
    return client.post("/datasets", {"name": "Bars", "task_id": 1, "path": str(folder / "bars.yml")})


def test_each_class_is_learned_and_told_by_itself(client, bars, project):
    assert bars["is_multi_label"]
    answer = client.post("/train", training(bars, project, Epochs="12", Batch_size="8", Learning_rate="3e-3"))
    status = client.wait(answer["process_id"])
    assert status["process_state"] == "finished", status
    assert "binary_accuracy=" in status["process_data"]

    body = {"modelweights_id": answer["weight_id"], "dataset_id": bars["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    assert client.wait(process_id)["process_state"] == "finished"

    metrics = client.get(f"/output?process_id={process_id}")["metrics"]
    _, table = client.send("GET", f"/output?process_id={process_id}&format=csv")
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    decided = np.array([[float(row[name]) >= 0.5 for name in CLASSES] for row in rows])
    truth = np.array([[index >> bit & 1 for bit in range(2)] for index in range(32, 48)])
    assert metrics["binary_accuracy"] == pytest.approx(np.mean(decided == truth)) and metrics["binary_accuracy"] > 0.9
    assert [row["label"] for row in rows[:4]] == ["", "top", "left", "top; left"]
    named = ["; ".join(name for name, is_there in zip(CLASSES, row, strict=True) if is_there) for row in decided]
    assert [row["prediction"] for row in rows] == named
