"""Draws one preview and ends: `python -m app.jobs.augmentation.preview_program`, a program beside the web process.

It reads an `Order` as JSON and writes a PNG, or, with the exit code 3, `{"at": ..., "message": ...}`. The web process
loads no library for pixels, and whatever a text or a file does here, it has a limit and ends with the program.
"""

import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidInput, JobFailure

CPU_SECONDS = 60
FAULT_CODE = 3
MEMORY_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Order:
    """What to preview.

    `channels` is None for what the file has; `rule` is the stored form of a MaskRule, None for the values as they are.
    """

    text: str
    places: tuple[str, ...]
    channels: int | None
    mask: str | None
    rule: dict | None
    seed: int
    index: int
    count: int
    size: int
    max_pixels: int

    def to_json(self) -> bytes:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Order":
        """Read `to_json`'s form."""
        return cls(**json.loads(content))


class Fault(Exception):
    """What keeps an order from being drawn: at the text, the image or the mask."""

    def __init__(self, at: str, message: str):
        super().__init__(message)
        self.at = at


def draw(order: Order) -> bytes:
    """Return the PNG of an order.

    Raises:
        Fault: saying what is wrong where.
    """
    # Loaded here, under the limits of `main`.
    from app.augment.parser import parse
    from app.augment.pipeline import Pipeline
    from app.jobs.augmentation.preview_sheet import preview

    places = [Path(place) for place in order.places]
    try:
        image = _image(places, order)
    except (JobFailure, InvalidInput) as error:
        raise Fault("image", error.message) from error
    try:
        mask = _mask(Path(order.mask), order) if order.mask is not None else None
    except (JobFailure, InvalidInput) as error:
        raise Fault("mask", error.message) from error
    if mask is not None and mask.shape != image.shape[:2]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.shape, image.shape)]
        raise Fault(
            "mask", f"The mask has {sizes[0]} pixels and its image {sizes[1]}; a mask has the size of its image."
        )
    try:
        pipeline = Pipeline(parse(order.text))
        return preview(pipeline, image, mask, seed=order.seed, index=order.index, count=order.count, side_px=order.size)
    except (JobFailure, InvalidInput) as error:
        raise Fault("text", error.message) from error


def _image(places, order: Order):
    from app.datasets.images import read_image
    from app.jobs.augmentation.pixel_files import read_pixels

    if order.channels is not None:
        return read_image(places, order.channels, max_pixels=order.max_pixels)
    pixels = read_pixels(places[0], order.max_pixels)
    return pixels.reshape(*pixels.shape[:2], -1)


def _mask(place: Path, order: Order):
    from app.datasets.images import read_mask
    from app.datasets.masks import MaskRule
    from app.jobs.augmentation.pixel_files import read_classes
    from app.jobs.augmentation.preview_sheet import class_map

    if order.rule is not None:
        return read_mask(place, MaskRule.from_dict(order.rule), max_pixels=order.max_pixels)
    return class_map(read_classes(place, order.max_pixels))


def main(source: BinaryIO, target: BinaryIO) -> int:
    """Draw what one stream orders into the other; return the exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Each thread of these takes address space, used or not.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        target.write(draw(Order.from_json(source.read())))
    except Fault as fault:
        target.write(json.dumps({"at": fault.at, "message": str(fault)}).encode())
        return FAULT_CODE
    except MemoryError:
        message = f"The preview needs more than {MEMORY_BYTES // 1024**3} GiB of memory; make the images smaller."
        target.write(json.dumps({"at": "text", "message": message}).encode())
        return FAULT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
