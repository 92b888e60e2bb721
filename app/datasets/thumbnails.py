"""Small pictures of samples, by Pillow alone: the web process makes them, and loads nothing heavier."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from PIL import Image, ImageOps

from app.datasets.masks import MaskRule
from app.datasets.places import why_no_file
from app.datasets.probe import grey_step
from app.errors import InvalidInput, JobFailure

SIDE_PX = 256
MOST_PIXELS = 40_000_000  # of a file that the web process decodes; a JPEG is decoded at a fraction of its size
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "MPO")
OVERLAY_OPACITY = 120
COLOURS = ((230, 60, 50), (60, 140, 255), (70, 200, 90), (250, 200, 40), (190, 90, 230), (40, 210, 210))

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm")


def is_plain(path: Path) -> bool:
    """Tell by its name whether a file is of a kind that needs no more than Pillow."""
    return path.suffix.lower() in SUFFIXES


def picture(path: Path, location: str, mask: Path | None = None, rule: MaskRule | None = None) -> bytes:
    """Return the PNG of an image, at most 256 pixels wide and high.

    Args:
        path: a file in one of the plain formats.
        location: what the image is called in an error.
        mask: a file in one of the plain formats to lay over it.
        rule: which class each value of the mask stands for.

    Raises:
        InvalidInput: saying why there is no picture.
    """
    small = _small(path, location).convert("RGB")
    if mask is not None and rule is not None:
        classes = _class_map(_opened(mask, f"mask of {location}"), rule, small.size, location)
        small.paste(_coloured(classes), mask=classes.point(lambda value: OVERLAY_OPACITY if value else 0))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


def _small(path: Path, location: str) -> Image.Image:
    return _eight_bits(_opened(path, location, side=SIDE_PX))


def _opened(path: Path, location: str, side: int | None = None) -> Image.Image:
    """Decode an image upright: with `side`, no larger than that; without it, with the numbers of the file."""
    if reason := why_no_file(path):
        raise InvalidInput(f"{location!r} {reason}, so that it has no thumbnail.")
    try:
        # By its path, Pillow 13 forgets to turn a TIFF that it maps.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if side:
                image.draft(None, (side, side))
            if image.width * image.height > MOST_PIXELS:
                raise InvalidInput(
                    f"{location!r} has {image.width} x {image.height} pixels, too many for a thumbnail "
                    f"(at most {MOST_PIXELS:,})."
                )
            step = grey_step(image)
            image.load()  # which turns a TIFF; only after it `getexif` tells what is left to do
            if side:
                return ImageOps.exif_transpose(_shrunk(image, side))
            upright = ImageOps.exif_transpose(image)
            return upright.point(lambda value: value // step) if step > 1 else upright
    except InvalidInput:
        raise
    except Exception as error:  # Pillow's plugins let many kinds of exception through for a broken file
        kinds = "PNG, JPEG, BMP, TIFF, WebP"
        raise InvalidInput(f"{location!r} has no thumbnail: only whole files of {kinds} do.") from error


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    exif = image.getexif()
    small = _eight_bits(image) if image.mode not in ("L", "RGB") else image
    small.thumbnail((side, side), reducing_gap=2.0)
    small.getexif().update(exif)
    return small


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16 bits to the upper 8, and what has no fixed range to its lowest and highest value."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L")
    if image.mode in ("I", "F"):
        low, high = cast(tuple[float, float], image.getextrema())
        scale = 255 / ((high - low) or 1)
        return image.point(lambda value: value * scale - low * scale).convert("L")
    if image.mode in ("P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    return image.convert("L") if image.mode in ("1", "LA", "La") else image


def _class_map(mask: Image.Image, rule: MaskRule, size: tuple[int, int], location: str) -> Image.Image:
    """Return the class of each pixel in mode L, by the numbers that the file holds, as workers read them."""
    numbers = mask if mask.mode in ("1", "P", "L") or mask.mode.startswith(("I", "F")) else mask.getchannel(0)
    small = numbers.resize(size, Image.Resampling.NEAREST)
    values = set(_values(small))
    scale = 255 if any(value != int(value) for value in values) else 1  # floats from 0 to 1
    try:
        class_of = {value: rule.class_of(_whole(value, small.mode, scale)) for value in values}
    except JobFailure as error:
        raise InvalidInput(f"The mask of {location!r}{error.message.removeprefix('The mask')}") from error
    return Image.frombytes("L", size, bytes(min(class_of[value], 255) for value in _values(small)))


def _values(image: Image.Image) -> list[float]:
    return list(cast(Iterable[float], image.get_flattened_data()))


def _whole(value: float, mode: str, scale: int) -> int:
    return int(bool(value)) if mode == "1" else round(value * scale)


def _coloured(classes: Image.Image) -> Image.Image:
    palette = [part for index in range(256) for part in COLOURS[(index - 1) % len(COLOURS)]]
    coloured = Image.frombytes("P", classes.size, classes.tobytes())
    coloured.putpalette(palette)
    return coloured.convert("RGB")
