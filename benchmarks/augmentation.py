"""How fast augmentations are, beside the bare OpenCV and NumPy calls they stand for: `make bench`.

For images of 28, 224 and 512 pixels, each operation and the texts of D3.5 and of the toolkit's fixtures: images per
second on one core, and the ratio to the bare calls (1 is the limit); at 28 pixels also what the language adds in
microseconds per operation. The last column is the ratio to albumentations on the same work, where that is installed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.augment.parser import parse
from app.augment.pipeline import Pipeline

SIDES = (28, 224, 512)
MICROSECONDS = 1e6
ROUND_SECONDS = 0.0005  # shorter than a slice of the scheduler's, so that some rounds are undisturbed
RANDOM = np.random.default_rng(0)
ROW = np.arange(1024, dtype=np.float32)

Call = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Step:
    """A line of the language, the bare calls that do the same work, and albumentations' name and settings for it."""

    line: str
    bare: Call
    rival: tuple[str, dict] | None = None


def turned(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((width / 2, height / 2), -4.0, 1.0), (width, height))


def resized(side: int, interpolation: int) -> Call:
    return lambda image: cv2.resize(image, (side, side), interpolation=interpolation)


def blurred(image: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(3, 0.7)
    return cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REPLICATE).astype(np.uint8)


def laplacian(image: np.ndarray) -> np.ndarray:
    return np.clip(image + RANDOM.laplace(0, 25, image.shape), 0, 255).astype(np.uint8)


def poissonian(image: np.ndarray) -> np.ndarray:
    return np.clip(image + RANDOM.poisson(20, image.shape), 0, 255).astype(np.uint8)


def from_levels(formula: Callable[[np.ndarray], np.ndarray]) -> Call:
    return lambda image: cv2.LUT(image, formula(np.arange(256.0)))


def levels(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def dropped(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    cell = max(1, height // 20)
    holes = RANDOM.random((-(-height // cell), -(-width // cell))) < 0.2
    mask = holes.repeat(cell, 0)[:height].repeat(cell, 1)[:, :width]
    return np.where(mask[:, :, np.newaxis], np.uint8(0), image)


def remapped(image: np.ndarray, x_map: np.ndarray, y_map: np.ndarray) -> np.ndarray:
    return cv2.remap(image, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def gridded(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x_map, y_map = np.meshgrid(ROW[:width] * np.float32(0.97), ROW[:height] * np.float32(0.97))
    return remapped(image, x_map, y_map)


def elastic(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    fields = RANDOM.random((2, height, width), dtype=np.float32) * 2 - 1
    x_map, y_map = (cv2.GaussianBlur(field, (17, 17), 5) * 40 for field in fields)
    return remapped(image, x_map + ROW[:width], y_map + ROW[:height, np.newaxis])


def lensed(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    camera = np.array([[width, 0, width / 2], [0, height, height / 2], [0, 0, 1]], np.float32)
    lens = np.array([0.2, 0.2, 0, 0, 0], np.float32)
    return remapped(image, *cv2.initUndistortRectifyMap(camera, lens, None, None, (width, height), cv2.CV_32FC1))


def spotted(value: int) -> Call:
    def call(image: np.ndarray) -> np.ndarray:
        result = image.copy()
        result[RANDOM.random(image.shape[:2], dtype=np.float32) < 0.05] = value
        return result

    return call


def cropped(image: np.ndarray) -> np.ndarray:
    return image[2:-2, 2:-2]


def stretched(image: np.ndarray) -> np.ndarray:
    low, high = float(image.min()), float(image.max())
    return cv2.LUT(image, levels((np.arange(256.0) - low) * (200 / (high - low))))


MEAN, STD = (0.6681, 0.5301, 0.5247), (0.1337, 0.1480, 0.1595)


def normal(image: np.ndarray) -> np.ndarray:
    """Normalise in place of OpenCV's fastest calls on three channels."""
    return cv2.divide(cv2.subtract(image, MEAN), (*STD, 1.0))


ROTATE = Step("AugRotate angle=[4,4]", turned, ("Rotate", {"limit": (4, 4), "p": 1, "border_mode": 0}))
FLIP = Step("AugFlip p=1", lambda image: cv2.flip(image, 0), ("VerticalFlip", {"p": 1}))
MIRROR = Step("AugMirror p=1", lambda image: cv2.flip(image, 1), ("HorizontalFlip", {"p": 1}))
BLUR = Step("AugGaussianBlur sigma=[0.7,0.7]", blurred, ("GaussianBlur", {"sigma_limit": (0.7, 0.7), "p": 1}))
LAPLACE = Step("AugAdditiveLaplaceNoise std_dev=[25,25]", laplacian)
POISSON = Step("AugAdditivePoissonNoise lambda=[20,20]", poissonian)
GAMMA = Step(
    "AugGammaContrast gamma=[1.2,1.2]",
    from_levels(lambda values: levels((values / 255) ** 1.2 * 255)),
    ("RandomGamma", {"gamma_limit": (120, 120), "p": 1}),
)
DROPOUT = Step("AugCoarseDropout p=[0.2,0.2] drop_size=[0.05,0.05] per_channel=0", dropped)
TO_FLOAT = Step("AugToFloat32 divisor=255", from_levels(lambda values: (values / 255).astype(np.float32)))
NORMALIZE = Step(f"AugNormalize mean={MEAN} std={STD}".replace(", ", ","), normal)
CUBIC = Step('AugResizeDim dims=(224,224) interp="cubic"', resized(224, cv2.INTER_CUBIC))

OPERATIONS = (
    ROTATE,
    Step("AugResizeDim dims=(192,192)", resized(192, cv2.INTER_LINEAR), ("Resize", {"height": 192, "width": 192})),
    CUBIC,
    Step("AugResizeScale scale=(0.5,0.5)", lambda image: cv2.resize(image, None, fx=0.5, fy=0.5)),
    FLIP,
    MIRROR,
    Step("AugTranspose p=1", cv2.transpose, ("Transpose", {"p": 1})),
    BLUR,
    LAPLACE,
    POISSON,
    GAMMA,
    DROPOUT,
    Step("AugBrightness beta=[30,30]", from_levels(lambda values: levels(values + 30))),
    Step("AugGridDistortion num_steps=[5,5] distort_limit=[-0.1,0.1]", gridded, ("GridDistortion", {"p": 1})),
    Step(
        "AugElasticTransform alpha=[40,40] sigma=[5,5]",
        elastic,
        ("ElasticTransform", {"alpha": 40, "sigma": 5, "p": 1}),
    ),
    Step("AugOpticalDistortion distort_limit=[0.2,0.2] shift_limit=[0,0]", lensed, ("OpticalDistortion", {"p": 1})),
    Step("AugSalt p=[0.05,0.05] per_channel=0", spotted(255)),
    Step("AugPepper p=[0.05,0.05] per_channel=0", spotted(0)),
    Step("AugSaltAndPepper p=[0.05,0.05] per_channel=0", lambda image: spotted(0)(spotted(255)(image))),
    Step("AugNormalize mean=100 std=50", from_levels(lambda values: levels((values - 100) / 50))),
    Step("AugCenterCrop size=(24,24)", cropped, ("CenterCrop", {"height": 24, "width": 24})),
    TO_FLOAT,
    Step("AugDivBy255", from_levels(lambda values: levels(values / 255))),
    Step("AugScaleTo new_min=0 new_max=200", stretched),
    Step(
        "AugScaleFromTo old_min=0 old_max=255 new_min=0 new_max=200", from_levels(lambda values: levels(values / 1.275))
    ),
    Step("AugRandomCrop size=(24,24)", cropped, ("RandomCrop", {"height": 24, "width": 24})),
)

TEXTS: dict[str, Sequence[Step]] = {
    "D3.5, 8.1 (Poisson)": (ROTATE, DROPOUT, POISSON),
    "D3.5, 8.1 (Laplace)": (ROTATE, DROPOUT, LAPLACE),
    "fixtures, digits": (
        Step('AugResizeDim dims=(28,28) interp="cubic"', resized(28, cv2.INTER_CUBIC)),
        ROTATE,
        TO_FLOAT,
    ),
    "fixtures, lesions": (CUBIC, MIRROR, FLIP, ROTATE, POISSON, GAMMA, BLUR, DROPOUT, TO_FLOAT),
    "fixtures, validation": (CUBIC, TO_FLOAT),
    "tutorial, validation": (CUBIC, TO_FLOAT, NORMALIZE),
}


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=0.3, help="time of each measurement")
    seconds = arguments.parse_args().seconds
    console = Console(highlight=False, width=150)
    cv2.setNumThreads(1)
    rivals = find_spec("albumentations") is not None
    for side in SIDES:
        table = Table(title=f"{side} x {side}, colour, one core", title_justify="left")
        table.add_column("text")
        for name in ("images/s", "bare", "ratio", "us per operation", "ratio to albumentations"):
            table.add_column(name, justify="right")
        for name, steps in [*((step.line, (step,)) for step in OPERATIONS), *TEXTS.items()]:
            table.add_row(name, *row(steps, side, seconds, rivals))
        console.print(table)
    if not rivals:
        console.print("albumentations is not installed here, so that its column stays empty.")


def row(steps: Sequence[Step], side: int, seconds: float, rivals: bool) -> list[str]:
    """Measure one text on one size: images per second, ours and bare, and what lies between."""
    image = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pipeline = Pipeline(parse("\n".join(["SequentialAugmentationContainer", *(step.line for step in steps), "end"])))
    generator = np.random.default_rng(0)

    def ours() -> None:
        pipeline(image, None, generator)

    def bare() -> None:
        result = image
        for step in steps:
            result = step.bare(result)

    calls = [ours, bare]
    if rivals and all(step.rival for step in steps):
        calls.append(rival(steps, image))
    own, limit, *others = fastest(calls, seconds)
    extra = (own - limit) / len(steps) * MICROSECONDS
    compared = f"{own / others[0]:.2f}" if others else ""
    return [f"{1 / own:,.0f}", f"{1 / limit:,.0f}", f"{own / limit:.2f}", f"{extra:+,.1f}", compared]


def rival(steps: Sequence[Step], image: np.ndarray) -> Callable[[], object]:
    """Build the same work in albumentations."""
    import albumentations

    settings = [step.rival for step in steps if step.rival]
    together = albumentations.Compose([getattr(albumentations, name)(**options) for name, options in settings])
    return lambda: together(image=image)


def fastest(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Return the seconds of each call in its best round; they take turns, so that a busy moment hits all of them."""
    counts, best = [], [float("inf")] * len(calls)
    for call in calls:
        call()
        began = time.perf_counter()
        call()
        counts.append(max(1, int(ROUND_SECONDS / (time.perf_counter() - began))))
    ends = time.perf_counter() + seconds * len(calls)
    while best[-1] == float("inf") or time.perf_counter() < ends:
        for place, (call, count) in enumerate(zip(calls, counts, strict=True)):
            began = time.perf_counter()
            for _ in range(count):
                call()
            best[place] = min(best[place], (time.perf_counter() - began) / count)
    return best


if __name__ == "__main__":
    main()
