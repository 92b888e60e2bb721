"""The samples of a registered dataset as a person looks at them: their labels, and small pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from app.datasets.description import Sample
from app.datasets.masks import MaskRule
from app.datasets.places import PlaceCheck, file_of, resolve, split_text
from app.datasets.thumbnails import is_plain, picture
from app.errors import InvalidInput, NotFound
from app.files import write_atomically
from app.jobs.datasets.checking import mask_rule_of, stored_report
from app.jobs.datasets.images import fetched_folder
from app.jobs.datasets.opened import OpenedDataset, opened_lately
from app.jobs.request_checks import unless_deleted
from app.jobs.services import Services
from app.training.remote import LocalCopies


class SampleFiles(NamedTuple):
    """Where the files of a sample lie, and what its description calls each."""

    places: tuple[Path, ...]
    mask: Path | None
    names: Mapping[Path, str]


def samples(services: Services, dataset_id: int, split: str | None = None) -> list[dict]:
    """Return what is known of each sample, or of those in one split; none if there is no such split.

    Raises:
        NotFound: for an id that no dataset has.
    """
    record = services.database.datasets.get(dataset_id)
    with unless_deleted(services.database.datasets, dataset_id):
        description = opened_lately(record).description
    split_of = {index: name for name, indexes in description.splits.items() for index in indexes}
    indexes = range(len(description.samples)) if split is None else description.split(split)
    rows = []
    for index in indexes:
        sample = description.samples[index]
        labels = None if sample.classes is None else [description.classes[label] for label in sample.classes]
        rows.append(
            {
                "index": index,
                "location": list(sample.location),
                "labels": labels,
                "mask": sample.mask,
                "split": split_of.get(index),
                "values": sample.values,
            }
        )
    return rows


def thumbnail(services: Services, dataset_id: int, index: int, *, has_mask: bool = False) -> Path:
    """Return the path of the small picture of a sample, which is made on first use.

    Raises:
        NotFound: for an id that no dataset has, or an index that no sample of it has.
        InvalidInput: saying why there is no picture.
    """
    record = services.database.datasets.get(dataset_id)
    with unless_deleted(services.database.datasets, dataset_id):
        dataset = opened_lately(record)
    sample = _sample(dataset, dataset_id, index)
    mask = sample.mask if has_mask else None
    source = _local_path(services, record, sample.location[0], dataset)
    mask_path = _local_path(services, record, mask, dataset) if mask else None
    kept = services.storage.thumbnail(dataset_id, index, has_mask=mask is not None)
    if not _is_newer(kept, file_of(source), mask_path and file_of(mask_path)):
        # The check has left small pictures of what Pillow alone cannot decode.
        source = _decodable(source, services.storage.thumbnail(dataset_id, index, has_mask=False))
        if mask_path is not None:
            mask_path = _decodable(mask_path, services.storage.mask_values(dataset_id, index))
        content = picture(source, sample.location[0], mask_path, _mask_rule(services, dataset_id) if mask else None)
        kept.parent.mkdir(exist_ok=True)
        write_atomically(kept, content)
    return kept


def sample_files(services: Services, record: Mapping, index: int) -> SampleFiles:
    """Return where the files of a sample lie.

    Raises:
        InvalidInput: for an index that no sample has, or a file that may not be read or is not fetched yet.
    """
    with unless_deleted(services.database.datasets, record["id"]):
        dataset = opened_lately(record)
    try:
        sample = _sample(dataset, record["id"], index)
    except NotFound as error:
        raise InvalidInput(error.message) from error
    places = tuple(_local_path(services, record, location, dataset) for location in sample.location)
    names = dict(zip(places, sample.location, strict=True))
    if sample.mask is None:
        return SampleFiles(places, None, names)
    mask = _local_path(services, record, sample.mask, dataset)
    return SampleFiles(places, mask, names | {mask: sample.mask})


def _sample(dataset: OpenedDataset, dataset_id: int, index: int) -> Sample:
    count = len(dataset.description.samples)
    if index >= count:
        raise NotFound(f"Dataset {dataset_id} has no image {index}; its {count} images are counted from 0.")
    return dataset.description.samples[index]


def _decodable(source: Path, kept: Path) -> Path:
    return source if is_plain(source) or not kept.exists() else kept


def _mask_rule(services: Services, dataset_id: int) -> MaskRule:
    """Return what the values of a dataset's masks mean; the check finds that out.

    Raises:
        InvalidInput: before it has, or where it found values that are no class.
    """
    report = stored_report(services.storage, dataset_id)
    rule = mask_rule_of(report) if report else None
    if rule is None:
        why = "its masks hold values that are no class" if report else "its check has not ended"
        raise InvalidInput(
            f"Dataset {dataset_id} shows no masks: {why}; GET /backend/datasets/{dataset_id}/report tells more."
        )
    return rule


def _local_path(services: Services, record: Mapping, location: str, dataset: OpenedDataset) -> Path:
    """Return the file of a location; links that lead out of the folders open to datasets are not followed."""
    place = resolve(location, dataset.folder)
    # A split version of an uploaded dataset uses the files of the first one.
    datasets = services.storage.dataset(record["id"]).parent
    own = [folder for folder in [dataset.folder] if isinstance(folder, Path) and folder.is_relative_to(datasets)]
    if not isinstance(place, Path):
        url, part = split_text(place)
        copy = LocalCopies(fetched_folder(record), services.settings).kept(url)
        if not copy.exists():
            raise InvalidInput(f"{location!r} cannot be shown until the dataset's check has fetched it.")
        place = copy.with_name(copy.name + part)
    if not PlaceCheck((*services.settings.data_roots, *own, fetched_folder(record))).is_inside(file_of(place)):
        raise InvalidInput(f"{location!r} lies outside the folders that are open to datasets.")
    return place


def _is_newer(kept: Path, *sources: Path | None) -> bool:
    try:
        made_at = kept.stat().st_mtime_ns
        return all(source is None or source.stat().st_mtime_ns <= made_at for source in sources)
    except OSError:
        return False
