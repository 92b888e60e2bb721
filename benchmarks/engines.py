"""The same job on each installed engine, through a service of its own: `python benchmarks/engines.py`.

Every engine trains the model from the same seed, on the same images in the same order, from files, with the same
augmentations; the first weights are each engine's own. The rate is that of the last epoch, reading and augmenting
included; memory is the most that the job's own process had.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
from rich.console import Console
from rich.table import Table

from app.demo.client import Client
from app.demo.service import running_service

POLL_SECONDS = 0.1
TEXT = "SequentialAugmentationContainer\n    AugRotate angle=[-5,5]\n    AugToFloat32 divisor=255\nend"
# Model and dataset, by the names that come with the service.
CASES = {"classification": ("LeNet", "Digits", 1), "segmentation": ("U-Net", "Nuclei", 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help="all without one")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--input-px", type=int, help="side of the network's input, instead of the model's default")
    arguments = parser.parse_args()
    table = Table("job", "engine", "img/s", "metric on validation", "peak MB", "seconds in all", title="Engines")
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder, running_service(Path(folder)) as url:
        client = Client(url)
        engines = [entry for entry in client.get("/health")["engines"] if entry["is_installed"]]
        for name in arguments.case or CASES:
            for engine in engines:
                row = measured(client, Path(folder), name, engine["name"], arguments.epochs, arguments.input_px)
                table.add_row(*row)
    Console(highlight=False).print(table)
    for engine in engines:
        print(engine["name"], ", ".join(f"{package} {version}" for package, version in engine["versions"].items()))


def measured(client: Client, folder: Path, case: str, engine: str, epochs: int, input_px: int | None) -> list[str]:
    """Train once with an engine; return the row of the table."""
    model_name, dataset_name, task_id = CASES[case]
    ids = {
        "project_id": client.post("/projects", name=f"{case} with {engine}", task_id=task_id)["id"],
        "model_id": id_of(client.get("/models"), model_name),
        "dataset_id": id_of(client.get("/datasets"), dataset_name),
    }
    values = {"Engine": engine, "Epochs": epochs, "Seed": 1, "Training augmentations": TEXT}
    if input_px:
        values |= {"Input height": input_px, "Input width": input_px}
    before, began = own_processes(), time.monotonic()
    answer = client.post("/train", **ids, properties=[{"name": name, "value": values[name]} for name in values])
    peak = 0
    while (status := client.get("/status", process_id=answer["process_id"])["status"])["process_status"] == "running":
        peak = max(peak, peak_bytes(own_processes() - before))
        time.sleep(POLL_SECONDS)
    if status["process_status"] != "finished":
        return [f"{model_name} on {dataset_name}", engine, "-", status["process_data"], "-", "-"]
    lines = (folder / "storage" / "weights" / str(answer["weight_id"]) / "metrics.jsonl").read_text().splitlines()
    training, validation = ([row for row in map(json.loads, lines) if row["split"] == split][-1]
                            for split in ("training", "validation"))  # fmt: skip
    metric = "dice" if task_id == 2 else "categorical_accuracy"
    return [
        f"{model_name} on {dataset_name}, {epochs} epochs",
        engine,
        f"{training['samples'] / training['seconds']:.1f}",
        f"{metric} {validation[metric]:.3f}",
        f"{peak / 1e6:.0f}",
        f"{time.monotonic() - began:.1f}",
    ]


def id_of(records: list[dict], name: str) -> int:
    """Return the id of the record of this name."""
    return next(record["id"] for record in records if record["name"] == name)


def own_processes() -> set[int]:
    """Return the ids of the service's processes."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def peak_bytes(processes: set[int]) -> int:
    """Return the most memory that one of some processes has had so far."""
    peaks = [0]
    for process in processes:
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks.append(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024)
    return max(peaks)


if __name__ == "__main__":
    main()
