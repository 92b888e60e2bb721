"""What the demonstration computes itself, from the outputs of the service and the labels of the dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from app.errors import JobFailure


@dataclass(frozen=True)
class LabelledImage:
    """One image of a split and its label as the YAML file has it: a class name, or the path of a mask."""

    location: str
    label: str


@dataclass(frozen=True)
class LabelledSplit:
    """One split of a DeepHealth YAML file. Mask paths are relative to `folder`."""

    folder: Path
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]


def read_split(path: Path, split: str) -> LabelledSplit:
    """Read the images and labels of one split out of a DeepHealth YAML file."""
    content = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    entries = [content["images"][index] for index in content["split"][split]]
    classes = tuple(map(str, content.get("classes") or ()))
    images = tuple(LabelledImage(entry["location"], str(entry["label"])) for entry in entries)
    return LabelledSplit(path.parent, classes, images)


def confusion_matrix(split: LabelledSplit, scores: Sequence[Sequence[float]]) -> np.ndarray:
    """Count images by true class (rows) and class of the highest score (columns): (classes, classes) integers.

    Raises:
        JobFailure: the rows are not as many as the images.
    """
    _check_count(split, len(scores))
    truth = [split.classes.index(image.label) for image in split.images]
    predictions = np.argmax(np.asarray(scores), axis=1)
    matrix = np.zeros((len(split.classes), len(split.classes)), dtype=int)
    np.add.at(matrix, (truth, predictions), 1)
    return matrix


def accuracy(matrix: np.ndarray) -> float:
    """Return the share of the images on the diagonal, 0..1."""
    return float(np.trace(matrix) / matrix.sum())


def dice_scores(split: LabelledSplit, masks: Sequence[bytes]) -> tuple[float, float]:
    """Compare predicted masks (PNG files, 0 is background) with the labels.

    Returns:
        Dice = 2TP/(2TP+FP+FN), 0..1: the mean over the images (an empty mask of an empty label is 1), and micro,
        which is that of all pixels together.

    Raises:
        JobFailure: the masks are not as many as the images, or one has another size than its label.
    """
    _check_count(split, len(masks))
    sums = np.array(
        [_overlap(split.folder / image.label, mask) for image, mask in zip(split.images, masks, strict=True)]
    )
    common, areas = sums[:, 0], sums[:, 1]
    per_image = np.where(areas == 0, 1.0, 2 * common / np.maximum(areas, 1))
    return float(per_image.mean()), float(2 * common.sum() / max(areas.sum(), 1))


def _overlap(label_path: Path, mask: bytes) -> tuple[int, int]:
    """Return the pixels set in both masks, and the sum of those set in each."""
    label = _foreground(label_path.read_bytes())
    prediction = _foreground(mask)
    if label.shape != prediction.shape:
        raise JobFailure(f"The mask for {label_path.name} is {prediction.shape} pixels, not {label.shape}.")
    return int((label & prediction).sum()), int(label.sum() + prediction.sum())


def _foreground(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image) > 0


def _check_count(split: LabelledSplit, count: int) -> None:
    if count != len(split.images):
        raise JobFailure(f"The service answered {count} rows for the {len(split.images)} images of the test split.")
