"""Whether the memory of a training grows with its dataset: `make bench`.

For 2,000 and for 20,000 images, a process of its own trains LeNet for one epoch and prints the most memory it used.
Beside it stands what the decoded images would take.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

COUNTS = (2_000, 20_000)
SIDE_PX = 64
FILES = 100  # each is listed many times; the reader does not know
MIB = 1024**2


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder:
        generator = np.random.default_rng(1)
        for index in range(FILES):
            pixels = generator.integers(0, 256, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
            cv2.imwrite(f"{folder}/{index}.jpg", pixels)
        print(f"memory of a training, {SIDE_PX} x {SIDE_PX} pixels in colour")
        for count in COUNTS:
            decoded = count * SIDE_PX**2 * 3 / MIB
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
                peak = executor.submit(trained, Path(folder), count).result()
            print(f"{count:>8,} images ({decoded:4.0f} MiB decoded): {peak:.0f} MiB")


def trained(folder: Path, count: int) -> float:
    """Train for one epoch; return the most memory in use, in MiB."""
    from app.datasets.description import Description, Sample
    from app.engines import get_engine
    from app.settings import Settings
    from app.training.config import TrainingConfig
    from app.training.loading import Loader, SampleReader
    from app.training.remote import LocalCopies

    config = TrainingConfig(
        task="classification", architecture="lenet", classes=("a", "b"), channels=3, learning_rate=1e-3,
        loss="cross_entropy", metric="accuracy", epochs=1, batch_size=32, input_height=28, input_width=28,
        optimizer="adam", weight_decay=0.0, seed=1,
    )  # fmt: skip
    samples = tuple(Sample((f"{index % FILES}.jpg",), (index % 2,)) for index in range(count))
    description = Description("Many", "", config.classes, (), samples, {"training": tuple(range(count))})
    reader = SampleReader(description, folder, config, LocalCopies(folder, Settings()), SIDE_PX**2)
    network = get_engine("torch").build(config)
    for batch in Loader(reader, range(count), config, "training", is_shuffled=True).batches(1):
        network.train_batch(batch.images, batch.targets)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
