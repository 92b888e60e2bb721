"""The area under a ROC curve for many weightings of the same samples."""

import numpy as np
from sklearn.metrics import roc_auc_score


def area_under_curve(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """Return scikit-learn's area under the ROC curve; NaN where all samples are of one kind, which has no curve."""
    return float(roc_auc_score(is_positive, scores)) if 0 < is_positive.sum() < len(is_positive) else float("nan")


class Ranking:
    """Samples in the order of their scores.

    Args:
        is_positive: `(N,)` bool.
        scores: `(N,)`; equal ones share a place.
    """

    def __init__(self, is_positive: np.ndarray, scores: np.ndarray):
        values, self._places = np.unique(scores, return_inverse=True)
        self._is_positive = is_positive
        self._place_count = len(values)

    def area(self, weights: np.ndarray) -> float:
        """Return the probability that a positive sample has a higher score than a negative one, equal ones halved.

        That is the area under the ROC curve (Hanley and McNeil, 1982), as scikit-learn computes it with
        `sample_weight`, without sorting anew. NaN while one of the two kinds has no weight.

        Args:
            weights: how much each sample counts, `(N,)`.
        """
        positive = np.bincount(self._places, np.where(self._is_positive, weights, 0.0), self._place_count)
        negative = np.bincount(self._places, weights, self._place_count) - positive
        below = np.cumsum(negative) - negative / 2
        pairs = positive.sum() * negative.sum()
        return float(positive @ below / pairs) if pairs > 0 else float("nan")
