"""The learning rate of each step. Pure functions of the place in the run, so that a resume needs none of it saved."""

import math

from app.training.config import TrainingConfig

STEP_FACTOR = 0.1
STEPS = 3  # the recipe of He et al. 2016 for ImageNet: 90 epochs, divided by ten after 30 and 60
PLATEAU_EPOCHS = 5
PLATEAU_FACTOR = 0.5


def learning_rate(config: TrainingConfig, epoch: int, step: int, step_count: int, drops: int) -> float:
    """Return the rate of one step.

    Args:
        config: of the training.
        epoch: the one under way, from 1.
        step: of this epoch, from 0.
        step_count: steps of an epoch.
        drops: how often `is_plateau` has been true.
    """
    warm_up = config.warmup_epochs
    if epoch <= warm_up:
        return config.learning_rate * (epoch - 1 + (step + 1) / step_count) / warm_up
    return config.learning_rate * _factor(config, epoch - 1 - warm_up + step / step_count, drops)


def is_plateau(config: TrainingConfig, epoch: int, best_epoch: int, dropped_at: int) -> bool:
    """Tell at an epoch's end whether the rate falls, for five epochs in a row were no better than the best.

    Args:
        config: of the training.
        epoch: that has ended.
        best_epoch: the best one so far.
        dropped_at: the epoch after which the rate fell before, 0 for never.
    """
    if config.lr_schedule != "plateau":
        return False
    return epoch - max(best_epoch, dropped_at, config.warmup_epochs) >= PLATEAU_EPOCHS


def earliest_reduction(config: TrainingConfig) -> int:
    """Return the epoch after which `Step` or `ReduceOnPlateau` may reduce the rate for the first time; 0 for others."""
    if config.lr_schedule == "plateau":
        return max(1, config.warmup_epochs) + PLATEAU_EPOCHS
    if config.lr_schedule == "step":
        return config.warmup_epochs - (config.warmup_epochs - config.epochs) // STEPS  # rounded up
    return 0


def _factor(config: TrainingConfig, epochs_done: float, drops: int) -> float:
    """Return what is left of the rate, after this many epochs since the warm-up."""
    part = epochs_done / (config.epochs - config.warmup_epochs)
    if config.lr_schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * part))
    if config.lr_schedule == "step":
        return STEP_FACTOR ** int(STEPS * int(epochs_done) / (config.epochs - config.warmup_epochs))
    return PLATEAU_FACTOR**drops
