"""What an augmentation text does to one image, for the web side: another program draws it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from app.augment.parser import parse
from app.datasets.places import as_described, file_of, split_text
from app.errors import InvalidInput, MalformedRequest, ToolkitError
from app.jobs.augmentation import preview_program
from app.jobs.augmentation.preview_program import FAULT_CODE, Order
from app.jobs.datasets.checking import mask_rule_of, stored_report
from app.jobs.datasets.registration import UploadedFile, channels_of
from app.jobs.datasets.samples import sample_files
from app.jobs.request_checks import fault_of, referenced
from app.jobs.services import Services
from app.settings import CLONE_FOLDER
from app.temporary import temporary_folder

DRAWING_SECONDS = 30
TOO_MUCH = (
    f"text: the preview takes more than {DRAWING_SECONDS} seconds or too much memory; "
    "ask for fewer results, or of a smaller image."
)
LONGEST_SUFFIX = 20


class _Source(NamedTuple):
    """Where image and mask lie, and what the client calls them: by field, and by name."""

    places: tuple[Path, ...]
    mask: Path | None
    channels: int | None
    rule: Mapping | None
    fields: Mapping[str, str]
    names: Mapping[Path, str]


def preview_augmentation(services: Services, request: Mapping) -> bytes:
    """Return the PNG of an image and of some results of a text on it.

    Args:
        services: the opened service.
        request: `text`, `seed`, `count`, `size`, and either `dataset_id` and `image_index`, or `image` and perhaps
            `mask`, which are uploaded files.

    Raises:
        AugmentationError: with every problem of the text.
        MalformedRequest: without any image.
        InvalidInput: naming the field that cannot be used.
        Busy: while too many previews are drawn.
    """
    parse(request["text"], "text")
    with _source(services, request) as source:
        order = Order(
            text=request["text"],
            places=tuple(map(str, source.places)),
            channels=source.channels,
            mask=None if source.mask is None else str(source.mask),
            rule=None if source.rule is None else dict(source.rule),
            seed=request["seed"],
            index=request["image_index"],
            count=request["count"],
            size=request["size"],
            max_pixels=services.settings.max_image_pixels,
        )
        with services.programs.held():
            return _drawn(order, source)


@contextmanager
def _source(services: Services, request: Mapping) -> Iterator[_Source]:
    image, mask, dataset_id = (request.get(field) for field in ("image", "mask", "dataset_id"))
    if (image is None) == (dataset_id is None):
        message = "Give the image in exactly one way: dataset_id with image_index, or a file named image."
        refusal = MalformedRequest if image is None else InvalidInput
        raise refusal(message, {"dataset_id": [message], "image": [message]})
    if image is None:
        if mask is not None:
            raise InvalidInput.at("mask", "The images of a dataset bring their own masks; leave the file mask out.")
        yield _of_dataset(services, request)
        return
    with temporary_folder("preview") as folder:
        yield _uploaded(folder, image, mask)


def _of_dataset(services: Services, request: Mapping) -> _Source:
    record = referenced(services.database.datasets, request, "dataset_id")
    with fault_of("image_index"):
        files = sample_files(services, record, request["image_index"])
    report = stored_report(services.storage, record["id"]) if files.mask else None
    rule = mask_rule_of(report) if report else None
    return _Source(
        files.places,
        files.mask,
        channels_of(record),
        rule.to_dict() if rule else None,
        {"image": "image_index", "mask": "image_index"},
        files.names,
    )


def _uploaded(folder: Path, image: UploadedFile, mask: UploadedFile | None) -> _Source:
    names: dict[Path, str] = {}
    places = []
    for field, file in (("image", image), ("mask", mask)):
        if file is None:
            continue
        name, part = split_text(file.name)
        # The kind of a file is known by the end of its name: `.nii.gz`, `.dcm`.
        suffix = "".join(Path(name).suffixes[-2:])[-LONGEST_SUFFIX:]
        path = folder / f"{field}{suffix}"
        content = file.stream.read()
        if not content:
            raise InvalidInput.at(field, f"{field}: the file is empty; send an image.")
        path.write_bytes(content)
        place = path.with_name(path.name + part)
        names[place] = file.name
        places.append(place)
    return _Source((places[0],), places[1] if mask else None, None, None, {"image": "image", "mask": "mask"}, names)


def _drawn(order: Order, source: _Source) -> bytes:
    command = [sys.executable, "-m", preview_program.__name__]
    try:
        ended = subprocess.run(
            command,
            input=order.to_json(),
            capture_output=True,
            cwd=CLONE_FOLDER,
            timeout=DRAWING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput.at("text", TOO_MUCH) from error
    if ended.returncode == 0:
        return ended.stdout
    if ended.returncode < 0:  # the kernel's answer to a program that is over its limits
        raise InvalidInput.at("text", TOO_MUCH)
    if ended.returncode != FAULT_CODE:
        raise ToolkitError(f"The preview could not be drawn: {ended.stderr.decode(errors='replace')[-500:]}")
    raise _named(json.loads(ended.stdout), source)


def _named(fault: Mapping, source: _Source) -> InvalidInput:
    """Return the fault of the program with the client's own names of field and files."""
    field = source.fields.get(fault["at"], fault["at"])
    message = fault["message"]
    for place, name in source.names.items():
        if str(file_of(place)) in message:
            message = as_described(message, place, name)
    return InvalidInput.at(field, f"{field}: {message}")
