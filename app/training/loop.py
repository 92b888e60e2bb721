"""The training loop, the same for every engine: reads top to bottom, touches every sample exactly once an epoch."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.metrics.running import RUNNING_METRICS
from app.training.config import TrainingConfig
from app.training.engine import BatchResult, Network
from app.training.loading import Loader

TRAINING = "training"
VALIDATION = "validation"
LABELS = {TRAINING: "Train", VALIDATION: "Validation"}


@dataclass(frozen=True)
class EpochScores:
    """Means over all samples of one split in one epoch; `epoch` counts from 1."""

    epoch: int
    split: str
    loss: float
    metric: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a training ended. `epoch` is the last one begun, `best_*` belong to the best weights (0: none saved)."""

    epoch: int
    is_stopped: bool
    best_epoch: int
    best_value: float


class Recorder(Protocol):
    """What the loop tells while it runs."""

    def progress(self, line: str, fraction: float, eta_seconds: float | None) -> None:
        """Take a progress line."""

    def epoch_scores(self, scores: EpochScores) -> None:
        """Take the scores of a split."""

    def save(self, network: Network, *, epoch: int, value: float, is_best: bool, is_complete: bool) -> None:
        """Keep the network as it is now; `is_complete` tells whether the epoch ran to its end."""


def train(
    network: Network,
    training: Loader,
    validation: Loader | None,
    config: TrainingConfig,
    recorder: Recorder,
    should_stop: Callable[[], bool],
) -> Outcome:
    """Train for the config's epochs, or until `should_stop`; keep the best weights by the metric on validation.

    Without a validation split the training split decides. A stop is obeyed at the next step.
    """
    pace = _Pace(config.epochs * (training.sample_count + (validation.sample_count if validation else 0)))
    best_epoch, best_value = 0, math.nan
    for epoch in range(1, config.epochs + 1):
        scores = None
        for loader, split in ((training, TRAINING), (validation, VALIDATION)):
            if loader is None:
                continue
            scores = _run_split(network, loader, split, epoch, config, recorder, should_stop, pace)
            if scores is None:
                recorder.save(network, epoch=epoch, value=math.nan, is_best=best_epoch == 0, is_complete=False)
                return Outcome(epoch, True, best_epoch, best_value)
            recorder.epoch_scores(scores)
        assert scores is not None  # the training split always runs
        is_best = best_epoch == 0 or _is_better(scores.metric, best_value, config.metric)
        if is_best:
            best_epoch, best_value = epoch, scores.metric
        recorder.save(network, epoch=epoch, value=scores.metric, is_best=is_best, is_complete=True)
    return Outcome(config.epochs, False, best_epoch, best_value)


def _run_split(
    network: Network,
    loader: Loader,
    split: str,
    epoch: int,
    config: TrainingConfig,
    recorder: Recorder,
    should_stop: Callable[[], bool],
    pace: "_Pace",
) -> EpochScores | None:
    """Run one pass over a split; None when it was stopped before its end."""
    step: Callable[..., BatchResult] = network.train_batch if split == TRAINING else network.evaluate_batch
    metric = RUNNING_METRICS[config.metric]()
    loss_sum, samples, began = 0.0, 0, time.monotonic()
    for number, batch in enumerate(loader.batches(epoch), start=1):
        if should_stop():
            return None
        assert batch.targets is not None  # only labelled splits are loaded for a training
        result = step(batch.images, batch.targets)
        metric.update(result.probabilities, batch.targets)
        loss_sum += result.loss * len(batch.indexes)
        samples += len(batch.indexes)
        pace.add(len(batch.indexes))
        rate = samples / max(time.monotonic() - began, 1e-9)
        recorder.progress(
            f"{LABELS[split]} {epoch}/{config.epochs} - batch {number}/{loader.batch_count} - "
            f"{config.loss}={loss_sum / samples:.3f} - {config.metric}={metric.compute():.3f} - "
            f"{rate:.{0 if rate >= 10 else 1}f} img/s - ETA {clock(pace.eta_seconds)}",
            pace.fraction,
            pace.eta_seconds,
        )
    return EpochScores(epoch, split, loss_sum / samples, metric.compute(), samples, time.monotonic() - began)


def _is_better(value: float, best: float, metric: str) -> bool:
    """Tell whether a value beats the best; an equal one does not, and NaN never does."""
    if math.isnan(best):
        return not math.isnan(value)
    return value > best if RUNNING_METRICS[metric].higher_is_better else value < best


class _Pace:
    """How much of all samples of all epochs is done, and when the rest will be."""

    def __init__(self, total: int):
        self._total = total
        self._done = 0
        self._began = time.monotonic()

    def add(self, samples: int) -> None:
        self._done += samples

    @property
    def fraction(self) -> float:
        return self._done / self._total

    @property
    def eta_seconds(self) -> float:
        elapsed = time.monotonic() - self._began
        return elapsed * (self._total - self._done) / self._done


def clock(seconds: float) -> str:
    """Write a duration as minutes:seconds, with hours in front where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
