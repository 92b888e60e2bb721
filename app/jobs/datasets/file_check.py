"""Check a description that is not registered: what `dht check-dataset` does."""

from pathlib import Path

from app.datasets.checks import CLASSIFICATION, SEGMENTATION
from app.datasets.description import Description
from app.datasets.places import resolve
from app.datasets.probe import probe
from app.datasets.report.report import DatasetReport, Progress, reads_masks
from app.datasets.report.sample import SampleGauge
from app.datasets.volumes import with_slices
from app.datasets.yaml_format.reading import read_file
from app.errors import InvalidInput
from app.settings import Settings
from app.temporary import temporary_folder
from app.training.remote import LocalCopies


def check_file(
    path: Path, settings: Settings, progress: Progress, task_name: str | None = None, group_by: str | None = None
) -> dict:
    """Return the report on a YAML file's dataset; images behind URLs are fetched, and forgotten again.

    Args:
        path: of the YAML file.
        settings: limits of images and downloads.
        progress: told how many samples are done, of how many.
        task_name: `classification` or `segmentation`; by default what the labels are for.
        group_by: the feature that names patients.

    Raises:
        DatasetError: with all problems of a description that cannot be used.
        InvalidInput: for a file that cannot be read, or a feature that is not there.
        TooLarge: for a file over the limit.
    """
    folder = path.absolute().parent
    description = with_slices(read_file(path, settings.max_description_bytes), folder, path.name)
    task_name = task_name or _task_of(description)
    with temporary_folder("check") as copies_folder:
        copies = LocalCopies(copies_folder, settings)
        gauge = SampleGauge(
            lambda location: copies.path(resolve(location, folder)),
            _channels(description, folder),
            settings.max_image_pixels,
            reads_masks=reads_masks(task_name),
        )
        report = DatasetReport(description, task_name, gauge, group_by).make(progress)
    assert report is not None, "nobody stops this check"
    return report


def _task_of(description: Description) -> str:
    has_masks = any(sample.mask is not None for sample in description.samples)
    return SEGMENTATION if has_masks else CLASSIFICATION


def _channels(description: Description, folder: Path) -> int:
    """Return the depth of the first image that tells it, as registering does."""
    for sample in description.samples:
        if len(sample.location) > 1:
            return len(sample.location)
        place = resolve(sample.location[0], folder)
        try:
            return 1 if isinstance(place, Path) and probe(place).channels == 1 else 3
        except InvalidInput:
            continue
    return 3
