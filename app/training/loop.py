"""The training loop, the same for every engine: reads top to bottom, touches every sample exactly once an epoch."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.metrics.running import RUNNING_METRICS
from app.training.config import TrainingConfig
from app.training.engine import BatchResult, Network
from app.training.loading import Batch, Batches
from app.training.pace import Pace
from app.training.position import TRAINING, VALIDATION, Position
from app.training.schedule import is_plateau, learning_rate

LABELS = {TRAINING: "Train", VALIDATION: "Validation"}


@dataclass(frozen=True)
class EpochScores:
    """Means over all samples of one split in one epoch; `epoch` counts from 1. The learning rate is the last step's."""

    epoch: int
    split: str
    loss: float
    metric: float
    samples: int
    seconds: float
    learning_rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a training ended. `epoch` is the last one begun, `best_*` belong to the best weights (0: none saved).

    `is_early` tells whether epochs were left out because the last ones had brought nothing better.
    """

    epoch: int
    is_stopped: bool
    is_early: bool
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
    loaders: Mapping[str, Batches]
    config: TrainingConfig
    recorder: Recorder
    should_stop: Callable[[], bool]
    position: Position
    pace: Pace


def train(
    network: Network,
    training: Batches,
    validation: Batches | None,
    config: TrainingConfig,
    recorder: Recorder,
    should_stop: Callable[[], bool],
    position: Position | None = None,
) -> Outcome:
    """Train for the config's epochs, or until `should_stop`; keep the best weights by metric or loss on validation.

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
    sample_counts = {split: loader.sample_count for split, loader in loaders.items()}
    pace = Pace(sample_counts, config.epochs, network.parameter_count)
    run = _Run(network, loaders, config, recorder, should_stop, position, pace)
    while position.epoch <= config.epochs and not _has_stalled(position, config):
        scores = _run_epoch(run)
        if scores is None:
            recorder.save(network, position, is_best=position.best_epoch == 0, is_complete=False)
            return Outcome(position.epoch, True, False, position.best_epoch, position.best_value)
        began = time.monotonic()
        is_best = _judge(position, scores, config)
        position.begin(position.epoch + 1, TRAINING)
        recorder.save(network, position, is_best=is_best, is_complete=True)
        pace.add_between(time.monotonic() - began)
    epoch = position.epoch - 1
    return Outcome(epoch, False, epoch < config.epochs, position.best_epoch, position.best_value)


def _judge(position: Position, scores: EpochScores, config: TrainingConfig) -> bool:
    """Note what an epoch that has ended means for those to come; tell whether its weights are the best so far."""
    is_loss = config.keep_best_by == "loss"
    value = scores.loss if is_loss else scores.metric
    is_higher_better = not is_loss and RUNNING_METRICS[config.metric].higher_is_better
    is_best = position.best_epoch == 0 or _is_better(value, position.best_value, is_higher_better=is_higher_better)
    if is_best:
        position.best_epoch, position.best_value = position.epoch, value
    if is_plateau(config, position.epoch, position.best_epoch, position.dropped_at):
        position.rate_drops, position.dropped_at = position.rate_drops + 1, position.epoch
    return is_best


def _has_stalled(position: Position, config: TrainingConfig) -> bool:
    """Tell whether the patience has come to its end: so many epochs in a row have brought nothing better."""
    patience = config.early_stopping_patience
    return 0 < patience <= position.epoch - 1 - position.best_epoch


def _run_epoch(run: _Run) -> EpochScores | None:
    """Run the splits of an epoch, or what is left of them; return the last one's scores, None when stopped."""
    run.network.freeze_encoder(is_frozen=run.position.epoch <= run.config.freeze_epochs)
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
    metric = RUNNING_METRICS[config.metric]()
    metric.restore(position.metric_sums)
    began = time.monotonic()
    for batch in loader.batches(position.epoch, position.batches):
        if run.should_stop():
            return None
        if run.recorder.is_checkpoint_due():
            run.recorder.save(run.network, position, is_best=False, is_complete=False)
        assert batch.targets is not None  # only labelled splits are loaded for a training
        result = _learn(run, batch) if is_training else run.network.evaluate_batch(batch.images, batch.targets)
        metric.update(result.probabilities, batch.targets)
        position.batches += 1
        position.samples += len(batch.indexes)
        position.loss_sum += result.loss * len(batch.indexes)
        position.metric_sums = metric.sums
        seconds, began = time.monotonic() - began, time.monotonic()
        position.seconds += seconds
        run.pace.add(position.split, len(batch.indexes), seconds)
        _tell_progress(run, loader.batch_count, metric.glance())
    return EpochScores(
        position.epoch,
        position.split,
        position.loss_sum / position.samples,
        metric.compute(),
        position.samples,
        position.seconds,
        _learning_rate(run, position.batches - 1) if is_training else None,
    )


def _learn(run: _Run, batch: Batch) -> BatchResult:
    """Learn from one batch; the last one of a step, or of the epoch, makes the step."""
    assert batch.targets is not None
    loader, in_step = run.loaders[TRAINING], run.config.gradient_accumulation
    number = run.position.batches
    begun = number // in_step * in_step * run.config.batch_size
    samples = min(in_step * run.config.batch_size, loader.sample_count - begun)
    is_step = (number + 1) % in_step == 0 or number + 1 == loader.batch_count
    run.network.set_learning_rate(_learning_rate(run, number))
    return run.network.train_batch(batch.images, batch.targets, share=len(batch.indexes) / samples, is_step=is_step)


def _learning_rate(run: _Run, number: int) -> float:
    """Return the rate of the step that a batch belongs to; batches count from 0."""
    in_step = run.config.gradient_accumulation
    step_count = -(-run.loaders[TRAINING].batch_count // in_step)
    return learning_rate(run.config, run.position.epoch, number // in_step, step_count, run.position.rate_drops)


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


def _is_better(value: float, best: float, *, is_higher_better: bool) -> bool:
    """Tell whether a value beats the best; an equal one does not, and NaN never does."""
    if math.isnan(best):
        return not math.isnan(value)
    return value > best if is_higher_better else value < best


def clock(seconds: float) -> str:
    """Write a duration as minutes:seconds, with hours in front where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
