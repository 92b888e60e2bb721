"""Writes what the training loop tells into the run and weights folders."""

import time
from functools import partial

from app.files import sync_file
from app.runs.layout import WeightsFolder
from app.runs.writer import RunWriter, append_row
from app.training.checkpoints import save_epoch
from app.training.config import TrainingConfig
from app.training.engine import Network
from app.training.loop import LABELS, EpochScores
from app.training.position import Position


class TrainingRecorder:
    """Log, metrics, progress and checkpoints of one training; `checkpoint_minutes` may lie between two of the last."""

    def __init__(self, writer: RunWriter, folder: WeightsFolder, config: TrainingConfig, checkpoint_minutes: float):
        self._writer = writer
        self._folder = folder
        self._config = config
        self._checkpoint_seconds = 60 * checkpoint_minutes
        self._saved_at = time.monotonic()
        self._fraction = 0.0
        self._eta_seconds: float | None = None

    def progress(self, line: str, fraction: float, eta_seconds: float | None) -> None:
        """Show a progress line."""
        self._fraction, self._eta_seconds = fraction, eta_seconds
        self._writer.progress(line, fraction, eta_seconds)

    def epoch_scores(self, scores: EpochScores) -> None:
        """Log the scores of a split and add them to the metrics file."""
        config = self._config
        line = (
            f"{LABELS[scores.split]} {scores.epoch}/{config.epochs} - {config.loss}={scores.loss:.3f} - "
            f"{config.metric}={scores.metric:.3f} - {scores.samples / scores.seconds:.0f} img/s"
        )
        self._writer.log(line)
        self._writer.progress(line, self._fraction, self._eta_seconds, is_kept=True)
        row = {"epoch": scores.epoch, "split": scores.split, "loss": scores.loss, config.metric: scores.metric}
        row |= {"samples": scores.samples, "seconds": round(scores.seconds, 3)}
        if scores.learning_rate is not None:
            row["learning_rate"] = scores.learning_rate
        self._writer.when_there_is_room(lambda: append_row(self._folder.metrics, row))

    def is_checkpoint_due(self) -> bool:
        """Tell whether the last checkpoint is older than it may get."""
        return time.monotonic() - self._saved_at >= self._checkpoint_seconds

    def save(self, network: Network, position: Position, *, is_best: bool, is_complete: bool) -> None:
        """Keep the network as it is now."""
        keep = partial(save_epoch, self._folder, network, self._config, position)
        if is_complete:  # no power cut leaves a checkpoint whose rows are lost
            self._writer.when_there_is_room(lambda: sync_file(self._folder.metrics))
        self._writer.when_there_is_room(lambda: keep(is_best=is_best, is_complete=is_complete))
        self._saved_at = time.monotonic()
