"""The job of a check: fetch what a dataset names by URL, look at every image, write the report."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from app.datasets.places import resolve, split_text
from app.datasets.report.report import DatasetReport, reads_masks
from app.datasets.report.sample import Keeper, SampleGauge
from app.datasets.thumbnails import SIDE_PX, is_plain
from app.errors import JobFailure
from app.files import write_atomically, write_json
from app.jobs.datasets.images import fetch_images, fetched_folder
from app.jobs.datasets.opened import OpenedDataset, open_dataset
from app.jobs.datasets.registration import channels_of
from app.jobs.worker.lifecycle import run_job
from app.runs.layout import StorageLayout
from app.runs.state import FINISHED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.remote import LocalCopies

FETCHING_SHARE = 0.5  # of the whole progress, where there is something to fetch

Progress = Callable[[str, float, float | None], None]


def run(process_id: str) -> None:
    """Check; the process id is all that the queue carries."""
    run_job(process_id, _check)


def _check(config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> tuple[str, str]:
    return check(config, writer, storage, settings, writer.progress, writer.should_stop)


def check(
    config: dict,
    writer: RunWriter,
    storage: StorageLayout,
    settings: Settings,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> tuple[str, str]:
    """Do the work of a check's run, for its own job or for a training that waits for it; return the final state."""
    writer.log(config["description"])
    report = make_report(
        config["dataset"],
        config["task"],
        config["group_by"],
        storage,
        settings,
        progress,
        should_stop,
        writer.when_there_is_room,
    )
    if report is None:
        why = "as asked" if writer.should_stop() and not writer.is_interrupted else "the service or its training ended"
        return STOPPED, f"Stopped {why}; there is no report"
    writer.when_there_is_room(lambda: write_json(writer.run.report, report))
    for problem in report["problems"]:
        writer.log(f"{problem['severity']}: {problem['message']}")
    return FINISHED, _summary(report)


def make_report(
    record: dict,
    task_name: str,
    group_by: str | None,
    storage: StorageLayout,
    settings: Settings,
    progress: Progress,
    should_stop: Callable[[], bool],
    when_there_is_room: Callable[[Callable[[], None]], None],
) -> dict | None:
    """Look at every image of a dataset and store the report, as soon as there is room; None when it was stopped.

    Raises:
        JobFailure: when the dataset cannot be opened.
    """
    dataset = open_dataset(record)
    fetched = 0.0

    def show_fetching(line: str, fraction: float) -> None:
        nonlocal fetched
        fetched = FETCHING_SHARE * fraction
        progress(line, fetched, None)

    gauge = SampleGauge(
        _local_paths(dataset, record, settings, show_fetching, should_stop),
        channels_of(record),
        settings.max_image_pixels,
        reads_masks=reads_masks(task_name),
        keep_picture=_picture_keeper(storage, record["id"]),
        keep_mask=_mask_keeper(storage, record["id"]),
    )
    report = DatasetReport(dataset.description, task_name, gauge, group_by, _indexes(dataset)).make(
        _pace(progress, fetched), should_stop
    )
    if report is not None:
        when_there_is_room(lambda: write_json(storage.report(record["id"]), report))
    return report


def _local_paths(
    dataset: OpenedDataset,
    record: dict,
    settings: Settings,
    show: Callable[[str, float], None],
    should_stop: Callable[[], bool],
) -> Callable[[str], Path]:
    """Fetch the images that are named by URL; return what turns a location into a local path."""
    faults = fetch_images(record, dataset.description, settings, show, should_stop)
    copies = LocalCopies(fetched_folder(record), settings)

    def path_of(location: str) -> Path:
        place = resolve(location, dataset.folder)
        if isinstance(place, str) and split_text(place)[0] in faults:
            raise JobFailure(faults[split_text(place)[0]])
        return copies.path(place)

    return path_of


def _indexes(dataset: OpenedDataset) -> Sequence[int]:
    """Return the samples to look at: those that are used, and of the others those that need not be fetched."""
    used = set(dataset.description.used_indexes())

    def is_here(location: str) -> bool:
        return isinstance(resolve(location, dataset.folder), Path)

    return [
        index
        for index, sample in enumerate(dataset.description.samples)
        if index in used or all(map(is_here, [*sample.location, *filter(None, [sample.mask])]))
    ]


def _picture_keeper(storage: StorageLayout, dataset_id: int) -> Keeper:
    """Return what keeps a thumbnail of each image that takes a library which the web process does not load."""

    def keep(index: int, place: Path, image: np.ndarray) -> None:
        if is_plain(place):
            return
        small = cv2.resize(
            image[..., : 3 if image.shape[2] == 3 else 1], _small_size(image), interpolation=cv2.INTER_AREA
        )
        pixels = cv2.cvtColor(small, cv2.COLOR_RGB2BGR) if small.ndim == 3 else small
        _keep_png(storage.thumbnail(dataset_id, index, has_mask=False), pixels)

    return keep


def _mask_keeper(storage: StorageLayout, dataset_id: int) -> Keeper:
    """Return what keeps the values of small pictures of such masks; they become classes when they are shown."""

    def keep(index: int, place: Path, values: np.ndarray) -> None:
        if is_plain(place):
            return
        clipped = np.clip(values, 0, 65535).astype(np.uint16)
        small = cv2.resize(clipped, _small_size(values), interpolation=cv2.INTER_NEAREST)
        _keep_png(storage.mask_values(dataset_id, index), small)

    return keep


def _small_size(image: np.ndarray) -> tuple[int, int]:
    height, width = image.shape[:2]
    scale = min(SIDE_PX / max(height, width), 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _keep_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, cv2.imencode(".png", pixels)[1].tobytes())


def _pace(progress: Progress, fetched: float) -> Callable[[int, int], None]:
    began = time.monotonic()

    def show(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-9)
        fraction = fetched + (1 - fetched) * done / total
        progress(f"Check {done}/{total} - {rate:.0f} img/s", fraction, (total - done) / max(rate, 1e-9))

    return show


def _summary(report: dict) -> str:
    counts = report["problem_counts"]
    rate = f"{report['images_per_second']:.0f} img/s"
    return f"Checked {report['sample_count']} images ({rate}): {counts['error']} errors, {counts['warning']} warnings"
