"""The metrics that a training shows while it runs: reset, update by batch, compute over all samples since.

Each is the mean over samples, so that a small last batch weighs no more than its samples. `higher_is_better` tells
which way "best" lies.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from app.metrics.segmentation import decide, overlap_scores


class RunningMetric(ABC):
    """A mean over samples that grows batch by batch; shapes of the arrays as in `app.training.engine`."""

    higher_is_better = True

    def __init__(self) -> None:
        self._sum = 0.0
        self._count: float = 0

    def update(self, probabilities: np.ndarray, targets: np.ndarray) -> None:
        """Add the sum over the batch's samples."""
        self._sum += self._batch_sum(probabilities, targets)
        self._count += len(targets)

    @property
    def sums(self) -> list[float]:
        """What has been added up so far: all that `restore` needs to go on from here."""
        return [self._sum, self._count]

    def restore(self, sums: Sequence[float]) -> None:
        """Go on from the `sums` of another one; none means from the start."""
        self._sum, self._count = sums or (0.0, 0)

    def compute(self) -> float:
        """Return the mean over the samples so far."""
        return self._sum / self._count if self._count else float("nan")

    @abstractmethod
    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        """Return the sum of the metric over the samples of a batch."""


class CategoricalAccuracy(RunningMetric):
    """Fraction of samples whose most probable class is the target."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(np.count_nonzero(probabilities.argmax(axis=1) == targets))


class BinaryAccuracy(RunningMetric):
    """Fraction of right decisions, one for each class of each sample; a class is there from a probability of 0.5 on."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(((probabilities >= 0.5) == targets).mean(axis=1).sum())


class MeanAbsoluteError(RunningMetric):
    """Mean absolute difference of the probabilities `(N, K)` and the targets (1 or 0), over classes, then samples."""

    higher_is_better = False

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(np.abs(probabilities - _as_outputs(targets, probabilities)).mean(axis=1).sum())


class MeanSquaredError(RunningMetric):
    """Mean squared difference of the probabilities `(N, K)` and the targets (1 or 0), over classes, then samples."""

    higher_is_better = False

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(((probabilities - _as_outputs(targets, probabilities)) ** 2).mean(axis=1).sum())


def _as_outputs(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the targets as `(N, K)`, 1 where a sample has a class: one-hot, or as they are."""
    return targets if targets.ndim == 2 else np.eye(probabilities.shape[1])[targets]


class Dice(RunningMetric):
    """Dice = 2TP/(2TP+FP+FN) per image and foreground class, then the mean over classes and images."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return _region_sum(probabilities, targets, "dice")


class IoU(RunningMetric):
    """IoU = TP/(TP+FP+FN) per image and foreground class, then the mean over classes and images."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return _region_sum(probabilities, targets, "iou")


def _region_sum(probabilities: np.ndarray, targets: np.ndarray, score: str) -> float:
    class_count = max(2, probabilities.shape[1])
    return sum(
        float(np.mean(overlap_scores(decide(sample), target, class_count)[score]))
        for sample, target in zip(probabilities, targets, strict=True)
    )


RUNNING_METRICS: dict[str, type[RunningMetric]] = {
    "categorical_accuracy": CategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "dice": Dice,
    "iou": IoU,
}
