"""Dice and IoU of class maps, per image and class, by scikit-learn (F1 and Jaccard on pixels are these two)."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import f1_score, jaccard_score

BACKGROUND = 0


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities `(K, H, W)` of one image into a class map `(H, W)`; with K = 1 the foreground from 0.5 on."""
    if probabilities.shape[0] == 1:
        return (probabilities[0] >= 0.5).astype(np.uint8)
    return probabilities.argmax(axis=0).astype(np.uint8)


def region_scores(prediction: np.ndarray, target: np.ndarray, class_count: int) -> dict[str, list[float]]:
    """Return Dice and IoU of one image for each class from 1 (0 is the background).

    A class that is in neither map scores 1: nothing was there and nothing was found.

    Args:
        prediction: class map `(H, W)`.
        target: class map `(H, W)`.
        class_count: number of classes, background included.
    """
    labels = list(range(BACKGROUND + 1, class_count))
    arguments = {"labels": labels, "average": None, "zero_division": 1.0}
    truth, decided = np.ravel(target), np.ravel(prediction)
    return {
        "dice": [float(value) for value in f1_score(truth, decided, **arguments)],
        "iou": [float(value) for value in jaccard_score(truth, decided, **arguments)],
    }


def mean_region_scores(prediction: np.ndarray, target: np.ndarray, class_count: int) -> dict[str, float]:
    """Return Dice and IoU of one image, averaged over the foreground classes."""
    scores = region_scores(prediction, target, class_count)
    return {name: float(np.mean(values)) for name, values in scores.items()}


def summarise_segmentation(per_image: Sequence[dict[str, list[float]]], classes: Sequence[str]) -> dict:
    """Average what `region_scores` gave for each image: over images for each class, then over classes (macro)."""
    names = list(classes[1:]) if len(classes) > 1 else [classes[0] if classes else "foreground"]
    summary: dict = {"images": len(per_image)}
    for score in ("dice", "iou"):
        by_class = np.mean([scores[score] for scores in per_image], axis=0)
        summary[score] = float(by_class.mean())
        summary[f"{score}_per_class"] = dict(zip(names, (float(value) for value in by_class), strict=True))
    return summary
