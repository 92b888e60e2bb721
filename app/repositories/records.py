"""What a record of each table holds, beside its id. A field that an earlier version did not write is not required."""

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict


class Task(TypedDict):
    name: Literal["Classification", "Segmentation"]


class Property(TypedDict):
    name: str
    type: str
    default: str | None
    values: str | None


class Model(TypedDict):
    name: str
    task_id: int
    architecture: str


class AllowedProperty(TypedDict):
    model_id: int
    property_id: int
    dataset_id: int | None
    allowed_value: str | None
    default_value: str | None


class Dataset(TypedDict):
    """A dataset; `path` is that of the service's own copy of the description, `folder` that of the images, or a URL."""

    name: str
    task_id: int
    path: str
    folder: str
    source: str
    colour_type: str | None
    classes: NotRequired[list[str]]
    sample_count: NotRequired[int]
    splits: NotRequired[dict[str, int]]
    is_multi_label: NotRequired[bool]
    version_of: NotRequired[int | None]
    split_settings: NotRequired[dict[str, Any] | None]
    created_at: NotRequired[str | None]
    check_process_id: NotRequired[str | None]


class Project(TypedDict):
    """A project, with the weights and the inference that it made last."""

    name: str
    task_id: int
    modelweights_id: int | None
    inference_id: int | None


class Upload(TypedDict):
    """What was found in an uploaded network."""

    origin: str
    classes: list[str]
    channels: int
    input_height: int
    input_width: int
    is_multi_label: bool
    parameter_count: int
    last_layer: str | None
    notes: list[str]


class Weights(TypedDict):
    """Weights; `settings` has the text of each property by its id, `has_file` is true once there are some."""

    name: str
    model_id: int
    task_id: int
    dataset_id: int | None
    pretrained_on: int | None
    process_id: str | None
    settings: dict[int, str | None]
    logfile: str | None
    project_id: NotRequired[int | None]
    created_at: NotRequired[str]
    has_file: NotRequired[bool | None]
    upload: NotRequired[Upload]


class Inference(TypedDict):
    modelweights_id: int
    dataset_id: int | None
    project_id: int
    process_id: str
    created_at: NotRequired[str]


class Token(TypedDict):
    """A token, by its hash."""

    name: str
    sha256: str
    created: str
    expires: datetime | None
