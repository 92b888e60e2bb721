"""Whether the descriptions of datasets, and the folders of their images, are there."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from app.datasets.places import base_of
from app.datasets.report.form import Report
from app.errors import ToolkitError
from app.files import read_object
from app.jobs.datasets.opened import open_dataset
from app.repositories.database import Database
from app.runs.layout import StorageLayout
from app.upkeep.finding import Finding, faulty_file, leftover
from app.upkeep.stored import Stored


def faulty_datasets(database: Database, storage: StorageLayout, stored: Stored) -> Iterator[Finding]:
    """Yield what is wrong with dataset folders."""
    for dataset_id, record in stored.records["datasets"].items():
        own, place = storage.description(dataset_id), f"datasets/{dataset_id}"
        if record.get("path") != str(own):
            move = partial(database.datasets.update, dataset_id, path=str(own))
            fault = f"Its record says that the description is {record.get('path')}."
            yield Finding(place, fault, "--repair makes it the one in this folder.", move)
        try:
            open_dataset({**record, "id": dataset_id, "path": str(own)})
        except ToolkitError as error:
            advice = f"Put dataset.yml back from a backup, or delete dataset {dataset_id}."
            yield Finding(f"{place}/dataset.yml", error.message, advice)
        report = storage.report(dataset_id)
        again = f"POST /backend/datasets/{dataset_id}/report makes a new one."
        yield from faulty_file(storage.root, report, partial(read_object, report, Report), again)
        base = base_of(record["folder"])
        if isinstance(base, Path) and not base.is_dir():
            fault = f"The folder of its images, {base}, is not there."
            yield Finding(place, fault, f"Put it back or mount it, or delete dataset {dataset_id}.")
    if "datasets" not in stored.unread:
        for path in storage.datasets.iterdir():
            if path.name.isdecimal() and int(path.name) not in stored.records["datasets"]:
                yield leftover(storage.root, path, "There is no record of this dataset.")
