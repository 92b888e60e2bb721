"""Where a training stands: with a network's checkpoint, all that is needed to go on as if nothing had happened."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

TRAINING = "training"
VALIDATION = "validation"


@dataclass
class Position:
    """The place in the run, the sums over the split under way, and what is known of the epochs before.

    The order of the samples and their augmentations depend on seed, epoch and sample alone, so counts are enough.

    Attributes:
        epoch: the one under way, from 1; one more than the config's epochs once all are done.
        split: `training`, then `validation` where there is one.
        batches: done in this split and epoch.
        samples: in those batches.
        loss_sum: sum of the losses of those samples.
        metric_sums: what the running metric has added up over them.
        seconds: spent on them.
        best_epoch: whose weights are the best, 0 before the first epoch's end.
        best_value: what that epoch reached.
        rate_drops: how often the learning rate was reduced on a plateau.
        dropped_at: the epoch after which it was last.
    """

    epoch: int = 1
    split: str = TRAINING
    batches: int = 0
    samples: int = 0
    loss_sum: float = 0.0
    metric_sums: list[float] = field(default_factory=list)
    seconds: float = 0.0
    best_epoch: int = 0
    best_value: float = math.nan
    rate_drops: int = 0
    dropped_at: int = 0

    def begin(self, epoch: int, split: str) -> None:
        """Go to the first batch of a split."""
        self.epoch, self.split = epoch, split
        self.batches, self.samples, self.loss_sum, self.metric_sums, self.seconds = 0, 0, 0.0, [], 0.0

    def has_passed(self, epoch: int, split: str) -> bool:
        """Tell whether a split of an epoch had been run to its end."""
        return epoch < self.epoch or (epoch == self.epoch and split == TRAINING and self.split == VALIDATION)

    def to_dict(self) -> dict:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> "Position":
        """Read `to_dict`'s form; keys of other versions are left out."""
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
