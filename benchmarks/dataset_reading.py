"""How fast images are read, beside the plain decoder: `make bench`.

For 28, 224 and 512 pixels, and for one worker and all cores: images per second of the decoder alone (the file's bytes
and `cv2.imdecode`, nothing else), of reading as a training does, and of reading with the usual augmentations; each also
as a ratio to the decoder.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.datasets.images import read_image

SIDES = (28, 224, 512)
FILES = 64
MOST_PIXELS = 100_000_000
AUGMENTATIONS = (
    "SequentialAugmentationContainer AugMirror p=0.5 AugFlip p=0.5 AugRotate angle=[-15,15] "
    "AugBrightness beta=[0,30] AugToFloat32 divisor=255 AugNormalize mean=(0.5,0.5,0.5) std=(0.25,0.25,0.25) end"
)

Read = Callable[[Path], object]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=1.0, help="time of each measurement")
    seconds = arguments.parse_args().seconds
    console = Console(highlight=False)
    cv2.setNumThreads(1)  # the threads are ours: one of cv2's own would count as a core
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder:
        for suffix in (".jpg", ".png"):
            table = Table(title=f"images per second, {suffix[1:].upper()} (ratio to the decoder)", title_justify="left")
            for name in ("pixels", "workers", "decoder", "read", "read + augment"):
                table.add_column(name, justify="right")
            for side in SIDES:
                paths = write_images(Path(folder), side, suffix)
                for workers in sorted({1, os.cpu_count() or 1}):
                    table.add_row(f"{side} x {side}", str(workers), *rates(paths, workers, seconds))
            console.print(table)


def write_images(folder: Path, side: int, suffix: str) -> list[Path]:
    """Write colour images with the smooth shapes and the grain of photographs."""
    generator = np.random.default_rng(side)
    paths = []
    for index in range(FILES):
        smooth = cv2.resize(generator.integers(0, 256, (5, 5, 3)).astype(np.uint8), (side, side))
        grain = generator.normal(0, 4, smooth.shape)
        path = folder / f"{side}_{index}{suffix}"
        cv2.imwrite(str(path), np.clip(smooth + grain, 0, 255).astype(np.uint8))
        paths.append(path)
    return paths


def rates(paths: Sequence[Path], workers: int, seconds: float) -> list[str]:
    """Return images per second of the decoder, of reading, and of reading and augmenting."""
    pipeline = Pipeline(parse(AUGMENTATIONS))

    def augmented(path: Path) -> object:
        return pipeline(read_image([path], 3, max_pixels=MOST_PIXELS), None, np.random.default_rng(1))

    limit, read, augment = interleaved((decoded, read_as_trained, augmented), paths, workers, seconds)
    return [f"{limit:,.0f}", f"{read:,.0f} ({read / limit:.2f})", f"{augment:,.0f} ({augment / limit:.2f})"]


def decoded(path: Path) -> object:
    """Decode with nothing around it: the limit."""
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def read_as_trained(path: Path) -> object:
    """Read as a training does, checks included."""
    return read_image([path], 3, max_pixels=MOST_PIXELS)


def interleaved(reads: Sequence[Read], paths: Sequence[Path], workers: int, seconds: float) -> list[float]:
    """Return the images per second of each; they take turns, so that a busy moment of the machine hits all alike."""
    spent, counts = [0.0] * len(reads), [0] * len(reads)
    with ThreadPoolExecutor(workers) as executor:
        while min(spent) < seconds:
            for place, read in enumerate(reads):
                began = time.perf_counter()
                list(executor.map(lambda part, read=read: [read(path) for path in part], split(paths, workers)))
                spent[place] += time.perf_counter() - began
                counts[place] += len(paths)
    return [count / time_spent for count, time_spent in zip(counts, spent, strict=True)]


def split(paths: Sequence[Path], workers: int) -> list[Sequence[Path]]:
    """Deal the files out to the workers."""
    return [paths[worker::workers] for worker in range(workers)]


if __name__ == "__main__":
    main()
