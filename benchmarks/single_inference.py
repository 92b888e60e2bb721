"""How soon a single image is answered by a warm worker: `python benchmarks/single_inference.py`.

Each network is trained for a step on images of noise, then asked for one image again and again, by
`POST /inferenceSingle?wait=30`: the time is that from sending the request to holding the output.
"""

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from training import upload_folder

from app.demo.client import Client
from app.demo.service import running_service

CASES = {"LeNet": (1, 28), "ResNet18": (3, 224), "ResNet50": (3, 224)}  # colour channels, side in pixels
IMAGES = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40, help="of each network")
    arguments = parser.parse_args()
    table = Table(title="milliseconds from POST to output, one image, warm worker", title_justify="left")
    for name in ("network", "first", "p50", "p95", "largest"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder, running_service(Path(folder)) as url:
        client = Client(url)
        for name, (channels, side_px) in CASES.items():
            table.add_row(name, *measured(client, name, channels, side_px, Path(folder), arguments.requests))
    Console(highlight=False).print(table)


def measured(client: Client, name: str, channels: int, side_px: int, folder: Path, requests: int) -> list[str]:
    """Return the row of a network in milliseconds."""
    project_id = client.post("/projects", name=name, task_id=1)["id"]
    weights_id, image = trained(client, name, project_id, channels, side_px, folder / name)
    seconds = []
    for _ in range(requests + 1):
        began = time.perf_counter()
        answer = client.post(
            "/inferenceSingle?wait=30", modelweights_id=weights_id, project_id=project_id, image_data=image
        )
        seconds.append(time.perf_counter() - began)
        if len(answer.get("outputs", [])) != 1:
            raise SystemExit(f"{name}: no output: {answer}")
    first, later = seconds[0], seconds[1:]
    return [f"{1000 * value:.0f}" for value in (first, *np.percentile(later, [50, 95]), max(later))]


def trained(client: Client, name: str, project_id: int, channels: int, side_px: int, folder: Path) -> tuple[int, str]:
    """Train for one epoch of two steps; return the id of the weights, and one image as a data URL."""
    generator = np.random.default_rng(1)
    folder.mkdir()
    lines = ["classes: [a, b]", "images:"]
    for index in range(IMAGES):
        cv2.imwrite(f"{folder}/{index}.png", generator.integers(0, 255, (side_px, side_px, channels)).astype(np.uint8))
        lines.append(f"  - {{location: {index}.png, label: {index % 2}}}")
    lines.append(f"split: {{training: [{', '.join(map(str, range(IMAGES)))}]}}")
    (folder / "dataset.yml").write_text("\n".join(lines) + "\n")
    dataset_id = upload_folder(client, name, 1, folder)
    model_id = next(model["id"] for model in client.get("/models") if model["name"] == name)
    values = {"Epochs": 1, "Batch size": 4, "Input height": side_px, "Input width": side_px}
    properties = [{"name": key, "value": value} for key, value in values.items()]
    started = client.post(
        "/train", project_id=project_id, model_id=model_id, dataset_id=dataset_id, properties=properties
    )
    while (status := client.get("/status", process_id=started["process_id"])["status"])["process_status"] == "running":
        time.sleep(0.1)
    if status["process_status"] == "error":
        raise SystemExit(f"{name}: {status['error']}")
    content = base64.b64encode((folder / "0.png").read_bytes()).decode()
    return started["weight_id"], f"data:image/png;base64,{content}"


if __name__ == "__main__":
    main()
