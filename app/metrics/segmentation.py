"""Dice, IoU and Hausdorff distance of class maps, per image and class, and their means with bootstrap intervals."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.metrics.bootstrap import intervals, resample_count, resamples, shown
from app.metrics.surfaces import hausdorff_95

BACKGROUND = 0
SCORES = ("dice", "iou", "hd95")


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities `(K, H, W)` of one image into a class map `(H, W)`; with K = 1 the foreground from 0.5 on."""
    if probabilities.shape[0] == 1:
        return (probabilities[0] >= 0.5).astype(np.uint8)
    return probabilities.argmax(axis=0).astype(np.uint8)


def foreground_names(classes: Sequence[str]) -> list[str]:
    """Return the names of the classes that are scored: all but the first, which is the background; or the only one."""
    return list(classes[1:]) if len(classes) > 1 else [classes[0] if classes else "foreground"]


def overlap_scores(prediction: np.ndarray, target: np.ndarray, class_count: int) -> dict[str, np.ndarray]:
    """Return Dice and IoU of one image for each class from 1 (0 is the background), by counting pixels.

    Dice = 2TP/(2TP+FP+FN), IoU = TP/(TP+FP+FN). A class that is in neither map scores 1: nothing was there and nothing
    was found; a class that is in one of them scores 0.

    Args:
        prediction: class map `(H, W)`.
        target: class map `(H, W)`.
        class_count: number of classes, background included.
    """
    # Counted by hand, for it is done for every batch: scikit-learn's confusion_matrix takes thirty times as long.
    pairs = np.ravel(target).astype(np.intp) * class_count + np.ravel(prediction)
    counts = np.bincount(pairs, minlength=class_count**2).reshape(class_count, class_count)
    both = np.diagonal(counts)[BACKGROUND + 1 :]
    sizes = (counts.sum(axis=0) + counts.sum(axis=1))[BACKGROUND + 1 :]
    return {"dice": _share(2 * both, sizes), "iou": _share(both, sizes - both)}


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(len(part)), where=whole > 0)


def region_scores(prediction: np.ndarray, target: np.ndarray, class_count: int) -> dict[str, list[float | None]]:
    """Return `overlap_scores` and the 95th percentile Hausdorff distance in pixels.

    The distance of a class is 0 where it is in neither map and None where it is in one only.
    """
    distances = [shown(hausdorff_95(prediction == label, target == label)) for label in range(1, class_count)]
    overlaps = overlap_scores(prediction, target, class_count)
    return {"dice": overlaps["dice"].tolist(), "iou": overlaps["iou"].tolist(), "hd95": distances}


def summarise_segmentation(per_image: Sequence[Mapping[str, Sequence[float | None]]], classes: Sequence[str]) -> dict:
    """Average what `region_scores` gave for each image: over images for each class, then over classes (macro).

    Returns:
        `dice`, `iou` and `hd95`, each `..._per_class`, and `intervals` with the 95 % interval of each, over images. A
        mean of distances leaves out the images where there is none; `hd95_undefined` counts these for each class.
    """
    names = foreground_names(classes)
    count = resample_count(len(per_image), len(names))
    summary: dict = {"images": len(per_image)}
    bounds: dict = {}
    for score in SCORES:
        values = np.array([scores[score] for scores in per_image], dtype=np.float64)
        by_class = _means(values, np.ones(len(values)))
        drawn = np.array([_means(values, weights) for weights in resamples(len(values), count)])
        summary[score] = shown(_macro(by_class))
        summary[f"{score}_per_class"] = dict(zip(names, map(shown, by_class), strict=True))
        bounds[score] = [shown(bound) for bound in intervals(_macro(drawn))]
        bounds[f"{score}_per_class"] = {
            name: [shown(bound) for bound in pair] for name, pair in zip(names, intervals(drawn).T, strict=True)
        }
        if score == "hd95":
            summary["hd95_undefined"] = dict(zip(names, np.isnan(values).sum(axis=0).tolist(), strict=True))
    return summary | {
        "intervals": bounds,
        "interval_method": f"95 % percentile bootstrap over images, {count} resamples",
    }


def _means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average `(N, K)` over the images by weight `(N,)`, leaving out NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights @ np.where(known, values, 0.0) / (weights @ known)


def _macro(by_class: np.ndarray):
    """Average over the classes, the last axis; NaN where one of them has no value."""
    return by_class.mean(axis=-1)
