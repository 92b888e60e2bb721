"""How far the probabilities of a classification are from how often they are right."""

import numpy as np

BINS = 15


class Calibration:
    """The confidences of a split, sorted into 15 bins of equal width; `(i/15, (i+1)/15]` is bin i.

    Args:
        probabilities: `(N, K)`.
        targets: class indexes `(N,)`.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
    """

    def __init__(self, probabilities: np.ndarray, targets: np.ndarray):
        confidences = probabilities.max(axis=1).astype(np.float64)
        self._bins = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
        self._excess = confidences - (probabilities.argmax(axis=1) == targets)

    def error(self, weights: np.ndarray) -> float:
        """Return the expected calibration error: over bins, the mean of |mean confidence - accuracy| by weight.

        Args:
            weights: how much each sample counts, `(N,)`.
        """
        return float(np.abs(np.bincount(self._bins, self._excess * weights, BINS)).sum() / weights.sum())
