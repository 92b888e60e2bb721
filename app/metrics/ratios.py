"""Ratios without cases, and means of what is known."""

import numpy as np


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide element by element; a ratio without cases is 0, as in scikit-learn."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def known_mean(values: np.ndarray) -> np.ndarray:
    """Average over the last axis what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
