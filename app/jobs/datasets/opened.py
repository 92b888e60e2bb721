"""A registered dataset as a job finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

from app.datasets.description import Description
from app.datasets.fingerprint import fingerprint
from app.datasets.places import base_of
from app.datasets.yaml_format import is_file_in, read
from app.errors import JobFailure

KEPT_DESCRIPTIONS = 2  # by each web process; one of 100,000 images takes about 50 MB


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
    return _parsed(*_source(dataset))


def opened_lately(dataset: Mapping) -> OpenedDataset:
    """Open a dataset, and parse its description only if it is none of the last ones; raises as `open_dataset`.

    Requests come by the thousand for the same dataset, and parsing is most of what starting an inference costs. The
    text is read each time, so that an edit always counts.
    """
    return _kept(*_source(dataset))


def _source(dataset: Mapping) -> tuple[bytes, str, Path | str]:
    """Return the text of a description, what its problems are reported under, and the folder of the images."""
    path = Path(dataset["path"])
    try:
        return path.read_bytes(), path.name, base_of(dataset["folder"])
    except OSError as error:
        raise JobFailure(f"The description of dataset {dataset['id']} is not at {path}: {error.strerror}.") from error


def _parsed(text: bytes, file_name: str, folder: Path | str) -> OpenedDataset:
    return OpenedDataset(text, read(text, file_name, partial(is_file_in, folder)), folder)


_kept = lru_cache(KEPT_DESCRIPTIONS)(_parsed)
