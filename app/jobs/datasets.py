"""A registered dataset as a job finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from app.datasets.description import Description
from app.datasets.fingerprint import fingerprint
from app.datasets.places import base_of
from app.datasets.yaml_format import is_file_in, read
from app.errors import JobFailure


@dataclass(frozen=True)
class OpenedDataset:
    """The service's own copy of a description, and the folder or URL its relative locations start from."""

    text: bytes
    description: Description
    folder: Path | str

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.text, self.description, self.folder)


def open_dataset(dataset: Mapping) -> OpenedDataset:
    """Open the dataset that a run's config, or a record, names by `path` and `folder`.

    Raises:
        JobFailure: when the copy is gone.
        DatasetError: when somebody changed the copy into something that cannot be read.
    """
    path, folder = Path(dataset["path"]), base_of(dataset["folder"])
    try:
        text = path.read_bytes()
    except OSError as error:
        raise JobFailure(f"The description of dataset {dataset['id']} is not at {path}: {error.strerror}.") from error
    return OpenedDataset(text, read(text, path.name, partial(is_file_in, folder)), folder)
