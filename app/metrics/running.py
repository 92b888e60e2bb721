"""The metrics that a training shows while it runs: reset, update by batch, compute over all samples since.

Each is about all samples since, so that a small last batch weighs no more than its samples. `higher_is_better` tells
which way "best" lies.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from app.metrics.ranking import area_under_curve
from app.metrics.segmentation import decide, overlap_scores

GLANCE_GROWTH = 1.05  # sorting all scores anew for every batch would take longer and longer


class RunningMetric(ABC):
    """A number about samples that come batch by batch; shapes of the arrays as in `app.training.engine`."""

    higher_is_better = True

    @abstractmethod
    def update(self, probabilities: np.ndarray, targets: np.ndarray) -> None:
        """Take the samples of a batch."""

    @property
    @abstractmethod
    def sums(self) -> list[float]:
        """What is known of the samples so far: all that `restore` needs to go on from here."""

    @abstractmethod
    def restore(self, sums: Sequence[float]) -> None:
        """Go on from the `sums` of another one; none means from the start."""

    @abstractmethod
    def compute(self) -> float:
        """Return the number for all samples so far."""

    def glance(self) -> float:
        """Return what `compute` does, or what it did a little while ago: cheap enough for every batch."""
        return self.compute()


class MeanOverSamples(RunningMetric):
    """The mean of what each sample scores by itself."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count: float = 0

    def update(self, probabilities: np.ndarray, targets: np.ndarray) -> None:
        self._sum += self._batch_sum(probabilities, targets)
        self._count += len(targets)

    @property
    def sums(self) -> list[float]:
        return [self._sum, self._count]

    def restore(self, sums: Sequence[float]) -> None:
        self._sum, self._count = sums or (0.0, 0)

    def compute(self) -> float:
        return self._sum / self._count if self._count else float("nan")

    @abstractmethod
    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        """Return the sum of the metric over the samples of a batch."""


class CategoricalAccuracy(MeanOverSamples):
    """Fraction of samples whose most probable class is the target."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(np.count_nonzero(probabilities.argmax(axis=1) == targets))


class BinaryAccuracy(MeanOverSamples):
    """Fraction of right decisions, one for each class of each sample; a class is there from a probability of 0.5 on."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(((probabilities >= 0.5) == targets).mean(axis=1).sum())


class MeanAbsoluteError(MeanOverSamples):
    """Mean absolute difference of the probabilities `(N, K)` and the targets (1 or 0), over classes, then samples."""

    higher_is_better = False

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(np.abs(probabilities - _as_outputs(targets, probabilities)).mean(axis=1).sum())


class MeanSquaredError(MeanOverSamples):
    """Mean squared difference of the probabilities `(N, K)` and the targets (1 or 0), over classes, then samples."""

    higher_is_better = False

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(((probabilities - _as_outputs(targets, probabilities)) ** 2).mean(axis=1).sum())


def _as_outputs(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the targets as `(N, K)`, 1 where a sample has a class: one-hot, or as they are."""
    return targets if targets.ndim == 2 else np.eye(probabilities.shape[1])[targets]


class Dice(MeanOverSamples):
    """Dice = 2TP/(2TP+FP+FN) per image and foreground class, then the mean over classes and images."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return _region_sum(probabilities, targets, "dice")


class IoU(MeanOverSamples):
    """IoU = TP/(TP+FP+FN) per image and foreground class, then the mean over classes and images."""

    def _batch_sum(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        return _region_sum(probabilities, targets, "iou")


def _region_sum(probabilities: np.ndarray, targets: np.ndarray, score: str) -> float:
    class_count = max(2, probabilities.shape[1])
    return sum(
        float(np.mean(overlap_scores(decide(sample), target, class_count)[score]))
        for sample, target in zip(probabilities, targets, strict=True)
    )


class AreaUnderCurve(RunningMetric):
    """The area under the ROC curve of each class against all others, then the mean over classes; chance gives 0.5.

    Classes that all samples have, or none, have no curve and do not count; NaN while no class has one. It needs the
    scores of all samples: `sums` has those of each, then 1 for its classes and 0 for the others, after the number of
    classes.
    """

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._glanced = (0, float("nan"))

    @property
    def sums(self) -> list[float]:
        return self._sums

    def restore(self, sums: Sequence[float]) -> None:
        self._sums = list(sums)

    def update(self, probabilities: np.ndarray, targets: np.ndarray) -> None:
        rows = np.concatenate([probabilities, _as_outputs(targets, probabilities)], axis=1)
        self._sums = self._sums or [float(probabilities.shape[1])]
        self._sums.extend(rows.ravel().tolist())

    def compute(self) -> float:
        if not self._sums:
            return float("nan")
        class_count = int(self._sums[0])
        rows = np.array(self._sums[1:]).reshape(-1, 2 * class_count)
        areas = [area_under_curve(rows[:, class_count + index] > 0, rows[:, index]) for index in range(class_count)]
        known = [area for area in areas if not np.isnan(area)]
        return float(np.mean(known)) if known else float("nan")

    def glance(self) -> float:
        counted, area = self._glanced
        if len(self._sums) > GLANCE_GROWTH * counted:
            self._glanced = len(self._sums), self.compute()
            return self._glanced[1]
        return area


RUNNING_METRICS: dict[str, type[RunningMetric]] = {
    "categorical_accuracy": CategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "auc": AreaUnderCurve,
    "dice": Dice,
    "iou": IoU,
}
