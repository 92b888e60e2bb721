"""What the frozen config of a process, and the rows that it writes, hold at least."""

from typing import Any, Literal, NotRequired, TypedDict


class RunOfAnyKind(TypedDict):
    type: Literal["training", "inference", "check"]
    description: str


class UsedDataset(TypedDict):
    """A dataset as it was when the process was made."""

    id: int
    path: str
    folder: str
    name: NotRequired[str]
    colour_type: NotRequired[str | None]
    check_process_id: NotRequired[str | None]
    fingerprint: NotRequired[str]


class Choices(TypedDict):
    """What is needed of a training's properties without knowing them; `TrainingConfig` knows all."""

    metric: str
    epochs: int
    devices: NotRequired[str]


class Training(TypedDict):
    weights_id: int
    initial_weights_id: int | None
    project_id: int
    dataset: UsedDataset
    training: Choices
    created_at: NotRequired[str]
    resumed_from: NotRequired[str | None]
    replaced_layers: NotRequired[list[str] | None]


class Inference(TypedDict):
    weights_id: int
    project_id: int
    classes: NotRequired[list[str]]
    is_multi_label: NotRequired[bool]
    inference_id: NotRequired[int]


class InferenceOfDataset(Inference):
    dataset: UsedDataset


class SentImage(TypedDict):
    file: str
    location: str


class InferenceOfImage(Inference):
    dataset: None
    image: SentImage


class Check(TypedDict):
    dataset: UsedDataset
    task: str
    group_by: str | None


RUNS: dict[str, Any] = {
    "training": Training,
    "inference": InferenceOfDataset | InferenceOfImage,
    "check": Check,
}


class EpochRow(TypedDict):
    """A row of `metrics.jsonl`; a number that is not finite is null."""

    epoch: int
    split: str
    loss: NotRequired[float | None]


class ScoreRow(TypedDict):
    """A row of `predictions.jsonl` of a classification; `target` is known where the image has a label."""

    image: str
    scores: list[float | None]
    target: NotRequired[int | list[int]]


class MaskRow(TypedDict):
    """A row of `predictions.jsonl` of a segmentation; the scores are by their name and that of the class."""

    image: str
    mask: str
    scores: NotRequired[dict[str, dict[str, float | None]]]


Prediction = ScoreRow | MaskRow


class Numbers(TypedDict):
    """What `metrics.json` holds that is more than shown."""

    confusion_matrix: NotRequired[list[list[int]]]


class Card(TypedDict):
    """What `weights.json` tells of the best weights beside their config, which `stored_config` checks."""

    config: Any
    digest: NotRequired[str | None]
    epoch: NotRequired[int | None]
    metric: NotRequired[str | None]
    value: NotRequired[float | None]


class Export(TypedDict):
    """What `export.json` tells of an ONNX file; `error` of one that was not made."""

    digest: str | None
    error: str | None
    is_noise: NotRequired[bool]
    image_count: NotRequired[int]
    largest_difference: NotRequired[float | None]
    relative_difference: NotRequired[float | None]
