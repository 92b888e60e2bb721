"""What a dataset consists of, as plain values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.errors import Problem


@dataclass(frozen=True, slots=True)
class Sample:
    """One entry of a dataset.

    Attributes:
        location: path or URL of each plane, as in the description; most samples have one.
        classes: class indexes, or `None` where the label is no class; empty if it has none of
            the classes.
        mask: path or URL of the mask, or `None`.
        values: what is known of the sample, by feature name; unknown features are absent.
    """

    location: tuple[str, ...]
    classes: tuple[int, ...] | None = None
    mask: str | None = None
    values: dict[str, object] = field(default_factory=dict)

    @property
    def has_label(self) -> bool:
        return self.classes is not None or self.mask is not None


@dataclass(frozen=True, slots=True)
class Description:
    """A dataset as its YAML file describes it.

    Attributes:
        name, text: what its author calls it and says of it.
        classes: their names; empty if it has none.
        features: the names of what is known of samples.
        samples: in the file's order.
        splits: sample indexes by split name, in the file's order.
        lines: where each sample begins in that file, from 1; empty if it was not read from one.
        remarks: what was left out when the file was read, for its author; no part of the dataset.
    """

    name: str
    text: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    samples: tuple[Sample, ...]
    splits: dict[str, tuple[int, ...]]
    lines: tuple[int, ...] = field(default=(), compare=False, repr=False)
    remarks: tuple[Problem, ...] = field(default=(), compare=False)

    def split(self, name: str) -> tuple[int, ...]:
        """Return the sample indexes of a split; none if there is no such split."""
        return self.splits.get(name, ())

    def line_of(self, index: int) -> int | None:
        """Return the line of a sample in the file that it was read from, if there is one."""
        return self.lines[index] if self.lines else None

    def has_labels(self, split_name: str) -> bool:
        """Tell whether the split has samples and each of them has a label."""
        indexes = self.split(split_name)
        return bool(indexes) and all(self.samples[index].has_label for index in indexes)

    def used_indexes(self) -> Sequence[int]:
        """Return the indexes of the samples that are in a split; all of them if the dataset is not split."""
        if not self.splits:
            return range(len(self.samples))
        return sorted(set().union(*self.splits.values()))

    @property
    def is_multi_label(self) -> bool:
        """Tell whether the label of some sample is no class, or several: each class is a question of its own then."""
        labels = (self.samples[index].classes for index in self.used_indexes())
        return any(classes is not None and len(classes) != 1 for classes in labels)

    def summary(self) -> dict[str, object]:
        """Return what the registry keeps of a dataset."""
        return {
            "classes": list(self.classes),
            "sample_count": len(self.samples),
            "splits": {name: len(indexes) for name, indexes in self.splits.items()},
            "is_multi_label": self.is_multi_label,
        }

    def class_counts(self, split_name: str) -> list[int]:
        """Count the samples of each class in a split, in the order of `classes`."""
        counts = Counter(label for index in self.split(split_name) for label in self.samples[index].classes or ())
        return [counts[index] for index in range(len(self.classes))]
