"""The form of a report on a dataset, as it is stored; an earlier version may have written less."""

from typing import Any, Literal, NotRequired, TypedDict


class Problem(TypedDict):
    severity: Literal["error", "warning"]
    message: str
    kind: NotRequired[str]
    file: NotRequired[str | None]
    split: NotRequired[str | None]


class ProblemCounts(TypedDict):
    error: int
    warning: int


class StoredRule(TypedDict):
    """What the values of masks mean, see `app.datasets.masks`."""

    classes: dict[int, int]
    threshold: int | None


class Masks(TypedDict):
    rule: NotRequired[StoredRule | None]


class Report(TypedDict):
    problems: list[Problem]
    problem_counts: ProblemCounts
    masks: NotRequired[Masks | None]
    task: NotRequired[str]
    classes: NotRequired[list[str]]
    sample_count: NotRequired[int]
    checked_count: NotRequired[int]
    unsplit_count: NotRequired[int]
    splits: NotRequired[dict[str, Any]]
    images: NotRequired[dict[str, Any]]
    training_statistics: NotRequired[dict[str, Any] | None]
    class_balance: NotRequired[dict[str, Any] | None]
    group_feature: NotRequired[str | None]
    checked_at: NotRequired[str]
    seconds: NotRequired[float]
    images_per_second: NotRequired[float]
