"""The images that a dataset names by URL, fetched once into the dataset's own folder."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

from app.datasets.description import Description
from app.datasets.places import base_of, resolve, split_text
from app.errors import JobFailure
from app.settings import Settings
from app.training.remote import LocalCopies

FETCHERS = 8
FOLDER = "images"

Progress = Callable[[str, float], object]


def fetched_folder(dataset: Mapping) -> Path:
    """Return where the fetched images of a dataset lie: beside the service's copy of its description."""
    return Path(dataset["path"]).parent / FOLDER


def share_fetched(dataset: Mapping, folder: Path) -> None:
    """Give another dataset's folder what was fetched for this one, by hard links: each may be deleted for itself."""
    for copy in fetched_folder(dataset).glob("[!.]*"):
        (folder / FOLDER).mkdir(exist_ok=True)
        with suppress(OSError):  # deleted meanwhile, or a file system without hard links: it is fetched again
            os.link(copy, folder / FOLDER / copy.name)


def fetch_images(
    record: Mapping,
    description: Description,
    settings: Settings,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Fetch every image and mask that is named by a URL and not here yet; a later call fetches what failed.

    The description stays as its owner wrote it: a copy is found by its URL, see `LocalCopies`.

    Args:
        record: of the dataset.
        description: its description.
        settings: limits, hosts and times.
        progress: told a line and how much of the fetching is done, from 0 to 1.
        should_stop: asked after each image.

    Returns:
        For each URL that cannot be had, the sentence that says why.

    Raises:
        JobFailure: when the images hold more bytes than `max_archive_bytes`.
    """
    copies = LocalCopies(fetched_folder(record), settings)
    urls = list(dict.fromkeys(_urls(record, description)))
    faults: dict[str, str] = {}
    total_bytes = 0
    with ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch") as executor:
        waiting = {executor.submit(copies.path, url): url for url in urls}
        try:
            for count, future in enumerate(as_completed(waiting), start=1):
                try:
                    total_bytes += future.result().stat().st_size
                except JobFailure as error:
                    faults[waiting[future]] = error.message
                _check_total(total_bytes, settings)
                progress(f"Fetched {count}/{len(urls)} images", count / len(urls))
                if should_stop():
                    break
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return faults


def _urls(record: Mapping, description: Description) -> Iterator[str]:
    base = base_of(record["folder"])
    for index in description.used_indexes():
        sample = description.samples[index]
        for location in (*sample.location, *filter(None, [sample.mask])):
            place = resolve(location, base)
            if isinstance(place, str):
                yield split_text(place)[0]


def _check_total(total_bytes: int, settings: Settings) -> None:
    if total_bytes > settings.max_archive_bytes:
        raise JobFailure(
            f"The images of the dataset hold more than {settings.max_archive_bytes:,} bytes, the most that is fetched."
        )
