"""What a training step of each model costs at its default size and batch: `python benchmarks/models.py`.

A process of its own trains each on random colour images of two classes, as the service would by default. Time is that
of the processor, over all cores, so that other programs count little; memory is the most that the process had.
"""

import json
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

STEPS = 7
WARM_UP_STEPS = 2
ZOO = Path(__file__).resolve().parent.parent / "app" / "zoo"


def main() -> None:
    """Measure and print."""
    print("model            processor seconds a step   MB")
    for model in json.loads((ZOO / "models.json").read_text()):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            seconds, megabytes = executor.submit(cost, model["id"]).result()
        print(f"{model['name']:16} {seconds:10.2f} {megabytes:20.0f}", flush=True)


def cost(model_id: int) -> tuple[float, float]:
    """Train a few steps; return the processor's seconds for one, and the most memory in MB."""
    from app.engines import get_engine
    from app.training.config import TrainingConfig, resolve_properties

    model, properties, allowed = (
        json.loads((ZOO / f"{name}.json").read_text()) for name in ("models", "properties", "allowed_properties")
    )
    [entry] = [row for row in model if row["id"] == model_id]
    rows = [row for row in allowed if row["model_id"] == model_id]
    values = resolve_properties([], properties, rows, entry["architecture"]).values
    task = "classification" if entry["task_id"] == 1 else "segmentation"
    config = TrainingConfig(task=task, architecture=entry["architecture"], classes=("a", "b"), channels=3, **values)
    generator = np.random.default_rng(1)
    plane = (config.batch_size, config.input_height, config.input_width)
    images = generator.random((plane[0], 3, *plane[1:]), dtype=np.float32)
    targets = generator.integers(0, 2, plane[:1] if task == "classification" else plane)
    network = get_engine("torch").build(config)
    taken = []
    for _ in range(STEPS):
        began = time.process_time()
        network.train_batch(images, targets)
        taken.append(time.process_time() - began)
    return median(taken[WARM_UP_STEPS:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
