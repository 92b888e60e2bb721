"""Distances between the outlines of two masks, by SciPy's morphology and nearest-neighbour search."""

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

PERCENTILE = 95


def hausdorff_95(prediction: np.ndarray, target: np.ndarray) -> float:
    """Return the 95th percentile Hausdorff distance of two masks in pixels.

    It is the larger of the two 95th percentiles of the distances from each outline pixel of one mask to the nearest of
    the other, which is MONAI's definition (`compute_hausdorff_distance`, percentile=95); an outline consists of the
    pixels of the mask that touch its outside, or the image's edge, by a side.

    Args:
        prediction: `(H, W)` bool.
        target: `(H, W)` bool.

    Returns:
        0 where both masks are empty; NaN where one is: there is nothing to measure a distance to.
    """
    if not prediction.any() and not target.any():
        return 0.0
    if not prediction.any() or not target.any():
        return float("nan")
    ours, theirs = _outline(prediction), _outline(target)
    return max(_directed(ours, theirs), _directed(theirs, ours))


def _outline(mask: np.ndarray) -> np.ndarray:
    """Return the coordinates `(P, 2)` of the outline's pixels."""
    return np.argwhere(mask & ~binary_erosion(mask))


def _directed(points: np.ndarray, others: np.ndarray) -> float:
    return float(np.percentile(KDTree(others).query(points)[0], PERCENTILE))
