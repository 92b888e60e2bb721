"""The losses of the property table by EDDL's own, each a mean over samples and, in segmentation, over pixels.

EDDL computes the gradients. What it reports of a loss is a sum whose meaning differs from one loss to the next (of
class maps, cross-entropy is read in the first row alone), so that the values that people see are computed here.

Probabilities and targets are float32 `(N, K)` or `(N, K, H, W)`; targets are one-hot, or 1 for each class of a sample.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pyeddl import eddl
from pyeddl._core import Loss, Tensor

from app.training.config import TrainingConfig

SMALLEST = 1e-7  # the probability that counts for none: EDDL adds as much before it takes a logarithm
ONE_STEP = "softmax_cross_entropy"  # by this name EDDL knows that softmax and loss have one gradient together


@dataclass(frozen=True)
class Term:
    """One of EDDL's losses.

    Attributes:
        name: EDDL's.
        factor: what makes its gradient that of the mean, by the shape of the targets.
        value: the mean over samples, by targets and probabilities.
    """

    name: str
    factor: Callable[[tuple[int, ...]], float]
    value: Callable[[np.ndarray, np.ndarray], float]


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probabilities, SMALLEST, 1))


def _cross_entropy(targets: np.ndarray, probabilities: np.ndarray) -> float:
    return float(-(targets * _log(probabilities)).sum(axis=1).mean())


def _binary_cross_entropy(targets: np.ndarray, probabilities: np.ndarray) -> float:
    return float(-(targets * _log(probabilities) + (1 - targets) * _log(1 - probabilities)).mean())


def _squared_error(targets: np.ndarray, probabilities: np.ndarray) -> float:
    return float(np.square(probabilities - targets).mean())


def _dice(targets: np.ndarray, probabilities: np.ndarray) -> float:
    axes = tuple(range(1, targets.ndim))
    overlap = (targets * probabilities).sum(axis=axes)
    return float((1 - 2 * overlap / (targets + probabilities).sum(axis=axes)).mean())


def _pixels(shape: tuple[int, ...]) -> float:
    return float(np.prod(shape[2:]))


SOFTMAX = Term(ONE_STEP, lambda shape: 1 / _pixels(shape), _cross_entropy)
CATEGORICAL = Term("categorical_cross_entropy", lambda shape: 1 / _pixels(shape), _cross_entropy)
BINARY = Term("binary_cross_entropy", lambda shape: 1 / (shape[1] * _pixels(shape)), _binary_cross_entropy)
SQUARED = Term("mean_squared_error", lambda shape: 2 / (shape[1] * _pixels(shape)), _squared_error)
DICE = Term("dice", lambda shape: 2 / shape[0], _dice)  # EDDL leaves out the 2, and adds up the images

EXCLUSIVE = {
    "cross_entropy": (SOFTMAX,),
    "soft_cross_entropy": (SOFTMAX,),  # of one-hot targets the same number
    "mean_squared_error": (SQUARED,),
    "binary_cross_entropy": (BINARY,),
    "dice": (DICE,),
    "dice_cross_entropy": (DICE, CATEGORICAL),
}
INDEPENDENT = EXCLUSIVE | {
    "cross_entropy": (BINARY,),
    "soft_cross_entropy": (BINARY,),
    "dice_cross_entropy": (DICE, BINARY),
}


def is_independent(config: TrainingConfig) -> bool:
    """Tell whether each output is a probability by itself (sigmoid), and not one of several that sum to 1 (softmax)."""
    return config.is_multi_label or config.output_channels == 1


class Objective(Loss):
    """What EDDL minimises: a sum of its losses, in which each sample of the batch has a share."""

    def __init__(self, config: TrainingConfig):
        self._terms = (INDEPENDENT if is_independent(config) else EXCLUSIVE)[config.loss]
        self._losses = [eddl.getLoss(term.name) for term in self._terms]
        self.shares = np.ones(1, np.float32)  # of the samples, `(N,)`; 1 for the plain mean
        Loss.__init__(self, self._terms[0].name if len(self._terms) == 1 else "sum")

    def mean(self, targets: np.ndarray, probabilities: np.ndarray) -> float:
        """Return the mean loss of a batch."""
        return sum(term.value(targets, probabilities) for term in self._terms)

    def delta(self, targets: Tensor, probabilities: Tensor, gradient: Tensor) -> None:
        """Write the gradient; EDDL calls this."""
        total = np.zeros(tuple(gradient.shape), np.float32)
        for term, loss in zip(self._terms, self._losses, strict=True):
            loss.delta(targets, probabilities, gradient)
            total += np.float32(term.factor(total.shape)) * np.asarray(gradient)
        np.asarray(gradient)[...] = total * self.shares.reshape(-1, *[1] * (total.ndim - 1))

    def value(self, targets: Tensor, probabilities: Tensor) -> float:
        """Return nothing that counts; EDDL calls this at every step, and `mean` has the value."""
        return 0.0
