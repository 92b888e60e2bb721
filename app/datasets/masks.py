"""Which class each value of a dataset's masks stands for: one rule for all of its masks.

Pure Python: the web process lays masks over thumbnails by it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import JobFailure

LARGEST_INDEX = 15  # larger values in masks of black and white are shades of their edges
WHITES = frozenset([1, 255, 65535])  # of masks of 1, 8 and 16 bits


@dataclass(frozen=True)
class MaskRule:
    """A class by value, or a threshold: values above it are class 1, all others class 0."""

    classes: Mapping[int, int] = field(default_factory=dict)
    threshold: int | None = None

    def class_of(self, value: int) -> int:
        """Return the class that a value stands for.

        Raises:
            JobFailure: for a value that is no class.
        """
        if self.threshold is not None:
            return int(value > self.threshold)
        if value not in self.classes:
            known = ", ".join(map(str, sorted(self.classes)[:20]))
            raise JobFailure(f"The mask holds the value {value}; the dataset's masks have the values {known}.")
        return self.classes[value]

    def to_dict(self) -> dict:
        """Return the JSON form; keys of JSON are texts."""
        return {"threshold": self.threshold, "classes": {str(value): index for value, index in self.classes.items()}}

    @classmethod
    def from_dict(cls, stored: Mapping) -> "MaskRule":
        """Read `to_dict`'s form."""
        return cls({int(value): index for value, index in stored["classes"].items()}, stored["threshold"])


def find_rule(values: Collection[int], class_count: int) -> tuple[MaskRule, list[int]]:
    """Return the rule for masks that hold these values together, and those values that are no class.

    With up to two classes masks are black and white: 0 is class 0, the one other value class 1. Masks of 0 and 1
    beside others of 0 and 255, or of 0 and 65535, are one and the same. Of more values each is a shade of an edge: the
    upper half is class 1. With more classes the values are class indexes, or are spread evenly over 0..255, as 0, 127
    and 255 for three.
    """
    if class_count <= 2:
        return _binary_rule(sorted(values))
    for rule in (MaskRule({index: index for index in range(class_count)}), MaskRule(_spread(class_count))):
        if all(value in rule.classes for value in values):
            return rule, []
    rule = MaskRule({index: index for index in range(class_count)})
    return rule, [value for value in sorted(values) if value not in rule.classes]


def told(rule: MaskRule, values: Collection[int], names: Sequence[str]) -> str | None:
    """Say in one sentence what a person has to know of a rule; None where it goes without saying.

    Args:
        values: that the masks hold together.
        names: of the values of a class map.
    """
    if rule.threshold is not None:
        shades = f"The masks hold {len(values)} values from {min(values)} to {max(values)}, as smoothed edges do"
        return f"{shades}: those up to {rule.threshold} are {names[0]!r}, those above it {names[1]!r}."
    whites = sorted(value for value, index in rule.classes.items() if index == 1 and value in values)
    if len(names) == 2 and len(whites) > 1:
        some = ", others ".join(f"0 and {white}" for white in whites)
        return f"Some masks hold {some}: {' and '.join(map(str, whites))} are all {names[1]!r}."
    return None


def _binary_rule(values: Sequence[int]) -> tuple[MaskRule, list[int]]:
    negative = [value for value in values if value < 0]
    above = [value for value in values if value > 0]
    if len(above) <= 1 or WHITES.issuperset(above):
        return MaskRule({0: 0, **dict.fromkeys(above, 1)}), negative
    if above[-1] <= LARGEST_INDEX:
        return MaskRule({0: 0, 1: 1}), negative + [value for value in above if value != 1]
    return MaskRule(threshold=above[-1] // 2), negative


def _spread(class_count: int) -> dict[int, int]:
    """Return the classes of values spread over 0..255, whichever way halves were rounded."""
    if class_count > 64:
        return {}
    exact = [(index, 255 * index / (class_count - 1)) for index in range(class_count)]
    return {value: index for index, place in exact for value in (int(place), -int(-place // 1))}
