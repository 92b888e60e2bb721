"""How long the rest of a training will take, from what its parts have taken so far."""

from collections.abc import Mapping

from app.training.position import TRAINING, VALIDATION, Position

# A validated sample costs this part of a trained one, until the first ones have been timed: no gradients are computed.
FIRST_GUESS = 0.3
# Saving a parameter, with its optimizer's two numbers, takes about this long, until a first time has been measured.
SAVE_SECONDS = 4e-8


class Pace:
    """Training, validation and what lies between two epochs have paces of their own; the newest epoch counts.

    Args:
        sample_counts: samples of each split in an epoch.
        epochs: of the whole training.
        parameter_count: of the network.
    """

    def __init__(self, sample_counts: Mapping[str, int], epochs: int, parameter_count: int):
        self._counts = {TRAINING: 0, VALIDATION: 0} | dict(sample_counts)
        self._epochs = epochs
        self._splits = {split: _Mean(count) for split, count in self._counts.items()}
        self._between = _Mean(1)
        self._save_guess = parameter_count * SAVE_SECONDS

    def add(self, split: str, samples: int, seconds: float) -> None:
        """Note the time that a batch took, with the wait for its images."""
        self._splits[split].add(seconds / samples, samples)

    def add_between(self, seconds: float) -> None:
        """Note the time that an epoch took beside its batches: mainly to save it."""
        self._between.add(seconds, 1)

    def fraction(self, position: Position) -> float:
        """Return how much of all samples of all epochs is done, 0 to 1."""
        total = self._epochs * sum(self._counts.values())
        return 1 - sum(self._left(position).values()) / total

    def eta_seconds(self, position: Position) -> float:
        """Return the expected time to the end."""
        training, validation = self._splits[TRAINING].value, self._splits[VALIDATION].value
        if training is None:  # resumed inside a validation
            training = 0.0 if validation is None else validation / FIRST_GUESS
        if validation is None:
            validation = training * FIRST_GUESS
        left = self._left(position)
        between = self._save_guess if self._between.value is None else self._between.value
        saves_left = self._epochs - position.epoch + 1
        return left[TRAINING] * training + left[VALIDATION] * validation + saves_left * between

    def _left(self, position: Position) -> dict[str, int]:
        left = {split: (self._epochs - position.epoch + 1) * count for split, count in self._counts.items()}
        left[position.split] -= position.samples
        if position.split == VALIDATION:
            left[TRAINING] -= self._counts[TRAINING]
        return left


class _Mean:
    """A mean over the newest `span` samples or so; the first entry counts until there is another one.

    That one holds what happens once: threads start, caches are filled.
    """

    def __init__(self, span: int):
        self._span = max(1, span)
        self._entries = 0
        self._weight = 0.0
        self.value: float | None = None

    def add(self, value: float, weight: float) -> None:
        """Take `weight` samples of this value each."""
        self._entries += 1
        if self._entries == 2:
            self._weight = 0.0
        self._weight = min(self._weight + weight, max(self._span, weight))
        before = value if self.value is None else self.value
        self.value = before + (value - before) * weight / self._weight
