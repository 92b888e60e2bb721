"""What the tests of the API share: a small dataset, weights with a file, and the form of an error."""

import json

from PIL import Image

ORIGIN = "http://localhost:4200"
UNREACHABLE_REDIS = "redis://127.0.0.1:1/0"
ABSENT_PROCESS = "ec63b923-850a-4d1d-aa24-e9d54a942c1b"
DATASET = {
    "name": "D",
    "task_id": 1,
    "path": "/storage/datasets/1/dataset.yml",
    "folder": "/images",
    "source": "/images/dataset.yml",
    "colour_type": None,
}
WEIGHTS = {
    "name": "W",
    "model_id": 1,
    "task_id": 1,
    "dataset_id": None,
    "pretrained_on": None,
    "process_id": None,
    "settings": {},
    "logfile": None,
}
INFERENCE = {"modelweights_id": 1, "dataset_id": None, "project_id": 1, "process_id": ABSENT_PROCESS}
ERROR_KEYS = ["code", "status", "message", "errors", "error"]


def write_tiny_dataset(folder):
    """Write eight images and their description, and return the folder."""
    folder.mkdir()
    lines = ["name: Tiny", "classes: [dark, light]", "images:"]
    for index in range(8):
        Image.new("L", (28, 28), color=255 * (index % 2)).save(folder / f"{index}.png")
        lines += [f"  - location: {index}.png", f"    label: {index % 2}"]
    lines += ["split:", "  training: [0, 1, 2, 3]", "  validation: [4, 5]", "  test: [6, 7]"]
    (folder / "tiny.yml").write_text("\n".join(lines) + "\n")
    return folder


def give_file(toolkit, weights_id, process_id):
    """Lay a card beside weights, as the first saved epoch does, and return their record."""
    config = json.loads(toolkit.storage.run(process_id).config.read_text())["training"]
    toolkit.storage.weights(weights_id).card.write_text(json.dumps({"config": config, "epoch": 1}))
    return toolkit.database.weights.get(weights_id)


def give_export(toolkit, weights_id, content):
    """Lay an exported file beside weights, as the end of their training does."""
    folder = toolkit.storage.weights(weights_id)
    folder.onnx.write_bytes(content)
    report = {"digest": None, "is_noise": False, "relative_difference": 0.0, "largest_difference": 0.0}
    folder.export.write_text(json.dumps(report | {"image_count": 8, "error": None}))


def assert_error(answer, code, *fields):
    """Make sure that an answer is an error of the one shape, and names these fields."""
    assert answer.status_code == code, answer.get_data(as_text=True)
    assert answer.mimetype == "application/json"
    keys = list(answer.json)
    assert keys == ERROR_KEYS or keys == [*ERROR_KEYS, "problems"]
    assert answer.json["code"] == code
    assert answer.status == f"{code} {answer.json['status']}"
    assert answer.json["message"] and answer.json["error"] == answer.json["message"]
    assert set(fields) <= set(answer.json["errors"]), answer.json
