"""The training loop, the same for every engine: reads top to bottom, touches every sample exactly once an epoch."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.metrics.running import RUNNING_METRICS
from app.training.config import TrainingConfig
from app.training.engine import BatchResult, Network
from app.training.loading import Loader
from app.training.pace import Pace
from app.training.position import TRAINING, VALIDATION, Position

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

    def is_checkpoint_due(self) -> bool:
        """Tell whether so much time has passed since the last one that the next step should not be lost."""

    def save(self, network: Network, position: Position, *, is_best: bool, is_complete: bool) -> None:
        """Keep the network and where the training goes on; `is_complete` tells whether an epoch has just ended."""


@dataclass(frozen=True)
class _Run:
    """What the functions below share."""

    network: Network
    loaders: Mapping[str, Loader]
    config: TrainingConfig
    recorder: Recorder
    should_stop: Callable[[], bool]
    position: Position
    pace: Pace


def train(
    network: Network,
    training: Loader,
    validation: Loader | None,
    config: TrainingConfig,
    recorder: Recorder,
    should_stop: Callable[[], bool],
    position: Position | None = None,
) -> Outcome:
    """Train for the config's epochs, or until `should_stop`; keep the best weights by the metric on validation.

    Without a validation split the training split decides. A stop is obeyed at the next batch.

    Args:
        network: as its engine built it or, for a training that goes on, as its checkpoint was loaded.
        training: the split to learn from.
        validation: the split that is only looked at, if there is one.
        config: the choices of the training.
        recorder: takes progress, scores and checkpoints.
        should_stop: asked at every batch.
        position: where the checkpoint stands.
    """
    loaders = {TRAINING: training} | ({VALIDATION: validation} if validation else {})
    position = position or Position()
    pace = Pace({split: loader.sample_count for split, loader in loaders.items()}, config.epochs)
    run = _Run(network, loaders, config, recorder, should_stop, position, pace)
    while position.epoch <= config.epochs:
        scores = _run_epoch(run)
        if scores is None:
            recorder.save(network, position, is_best=position.best_epoch == 0, is_complete=False)
            return Outcome(position.epoch, True, position.best_epoch, position.best_value)
        began = time.monotonic()
        is_best = position.best_epoch == 0 or _is_better(scores.metric, position.best_value, config.metric)
        if is_best:
            position.best_epoch, position.best_value = position.epoch, scores.metric
        position.begin(position.epoch + 1, TRAINING)
        recorder.save(network, position, is_best=is_best, is_complete=True)
        pace.add_between(time.monotonic() - began)
    return Outcome(config.epochs, False, position.best_epoch, position.best_value)


def _run_epoch(run: _Run) -> EpochScores | None:
    """Run the splits of an epoch, or what is left of them; return the last one's scores, None when stopped."""
    splits = list(run.loaders)
    for split in splits[splits.index(run.position.split) :]:
        if split != run.position.split:
            run.position.begin(run.position.epoch, split)
        scores = _run_split(run)
        if scores is None:
            return None
        run.recorder.epoch_scores(scores)
    return scores


def _run_split(run: _Run) -> EpochScores | None:
    """Run the position's split from the position on; None when it was stopped before its end."""
    position, config, loader = run.position, run.config, run.loaders[run.position.split]
    is_training = position.split == TRAINING
    step: Callable[..., BatchResult] = run.network.train_batch if is_training else run.network.evaluate_batch
    metric = RUNNING_METRICS[config.metric]()
    metric.restore(position.metric_sums)
    began = time.monotonic()
    for batch in loader.batches(position.epoch, position.batches):
        if run.should_stop():
            return None
        if run.recorder.is_checkpoint_due():
            run.recorder.save(run.network, position, is_best=False, is_complete=False)
        assert batch.targets is not None  # only labelled splits are loaded for a training
        result = step(batch.images, batch.targets)
        metric.update(result.probabilities, batch.targets)
        position.batches += 1
        position.samples += len(batch.indexes)
        position.loss_sum += result.loss * len(batch.indexes)
        position.metric_sums = metric.sums
        seconds, began = time.monotonic() - began, time.monotonic()
        position.seconds += seconds
        run.pace.add(position.split, len(batch.indexes), seconds)
        _tell_progress(run, loader.batch_count, metric.compute())
    loss = position.loss_sum / position.samples
    return EpochScores(position.epoch, position.split, loss, metric.compute(), position.samples, position.seconds)


def _tell_progress(run: _Run, batch_count: int, metric: float) -> None:
    position, config = run.position, run.config
    rate = position.samples / max(position.seconds, 1e-9)
    fraction, eta_seconds = run.pace.fraction(position), run.pace.eta_seconds(position)
    run.recorder.progress(
        f"{LABELS[position.split]} {position.epoch}/{config.epochs} - batch {position.batches}/{batch_count} - "
        f"{config.loss}={position.loss_sum / position.samples:.3f} - {config.metric}={metric:.3f} - "
        f"{rate:.{0 if rate >= 10 else 1}f} img/s - ETA {clock(eta_seconds)}",
        fraction,
        eta_seconds,
    )


def _is_better(value: float, best: float, metric: str) -> bool:
    """Tell whether a value beats the best; an equal one does not, and NaN never does."""
    if math.isnan(best):
        return not math.isnan(value)
    return value > best if RUNNING_METRICS[metric].higher_is_better else value < best


def clock(seconds: float) -> str:
    """Write a duration as minutes:seconds, with hours in front where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
