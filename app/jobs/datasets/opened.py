"""A registered dataset as a job finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

from app.datasets.description import Description
from app.datasets.fingerprint import fingerprint
from app.datasets.places import base_of
from app.datasets.yaml_format.reading import is_file_in, read
from app.errors import DatasetError, StorageDamaged
from app.files import damaged, unavailable

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
        StorageUnavailable: when the copy cannot be read; StorageDamaged, when it is gone or holds something else.
    """
    return _parsed(*_source(dataset))


def opened_lately(dataset: Mapping) -> OpenedDataset:
    """Open a dataset, and parse its description only if it is none of the last ones; raises as `open_dataset`.

    Requests come by the thousand for the same dataset, and parsing is most of what starting an inference costs. The
    text is read each time, so that an edit always counts.
    """
    return _kept(*_source(dataset))


def _source(dataset: Mapping) -> tuple[bytes, Path, Path | str]:
    """Return the text of a description, the file that it is in, and the folder of the images."""
    path = Path(dataset["path"])
    try:
        return path.read_bytes(), path, base_of(dataset["folder"])
    except FileNotFoundError as error:
        raise StorageDamaged(
            f"The file {path}, the description of dataset {dataset['id']}, is gone; restore a backup of it."
        ) from error
    except OSError as error:
        raise unavailable(path, "read", error) from error


def _parsed(text: bytes, path: Path, folder: Path | str) -> OpenedDataset:
    try:
        return OpenedDataset(text, read(text, path.name, partial(is_file_in, folder)), folder)
    except DatasetError as error:  # it was sound when the dataset was registered
        raise damaged(path, f"is no description of a dataset any more ({error.problems[0]})") from error


_kept = lru_cache(KEPT_DESCRIPTIONS)(_parsed)
