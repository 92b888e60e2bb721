"""Read what an image file says of itself, without decoding its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from app.datasets.formats.kinds import source_of
from app.errors import InvalidInput, JobFailure

Image.MAX_IMAGE_PIXELS = None  # headers only are read here; whoever decodes has a limit of its own, from the settings

# What `app.datasets.images` decodes; Pillow knows more kinds, but a header alone is of no use.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")

ORIENTATION_TAG = 0x0112
SIDEWAYS = frozenset([5, 6, 7, 8])
CHANNELS = {"1": 1, "L": 1, "LA": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1}
BIT_DEPTHS = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size in pixels with the EXIF orientation applied, colour channels without alpha, and bits per channel."""

    width: int
    height: int
    channels: int
    bit_depth: int


def probe(source: Path | BinaryIO, name: str | None = None) -> ImageHeader:
    """Read the header of an image: of a place, which may name a part of a file, or of a file that is open already.

    Args:
        name: what the image is called in an error; the path unless told.

    Raises:
        InvalidInput: naming the file, if it is absent or no image.
    """
    if not isinstance(source, Path):
        return read_header(source, name or "image")
    try:
        found = source_of(source)
        if found.kind_name != "plain":
            return found.kind.header(found.path, found.part)
    except JobFailure as error:
        raise InvalidInput(error.message) from error
    return _read_plain(found.path, name or str(found.path))


def read_header(file: BinaryIO, name: str) -> ImageHeader:
    """Read the header of a file that is one image.

    Raises:
        InvalidInput: naming the file, if it is no image.
    """
    try:
        with Image.open(file) as image:
            return header_of(image)
    except Exception as error:  # Pillow's plugins let many kinds of exception through for a broken file
        raise InvalidInput(f"The file {name!r} is not an image that can be read.") from error


def header_of(image: Image.Image) -> ImageHeader:
    """Return what an open image says of itself."""
    width, height = image.size
    exif = Image.Image.getexif(image)  # a PNG's own method decodes the whole image to find it
    if exif.get(ORIENTATION_TAG) in SIDEWAYS:
        width, height = height, width
    return ImageHeader(width, height, CHANNELS.get(image.mode, 3), _bit_depth(image))


def refuse_too_large(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Raise a JobFailure for a size that is not decoded; to be called before a decoder allocates it."""
    if width * height > max_pixels:
        size = f"{width} x {height} pixels"
        raise JobFailure(f"The image {str(path)!r} has {size}, more than the {max_pixels:,} that are decoded.")


def _read_plain(path: Path, name: str) -> ImageHeader:
    try:
        with path.open("rb") as file:
            return read_header(file, name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"The image {name!r} cannot be opened: {reason}.") from error


def _bit_depth(image: Image.Image) -> int:
    """Pillow opens 16-bit colour as 8-bit RGB; only the decoder's raw mode tells."""
    depth = BIT_DEPTHS.get(image.mode, 8)
    raw_modes = [str(tile[3]) for tile in getattr(image, "tile", [])[:1]]
    return 16 if depth == 8 and any(";16" in raw_mode for raw_mode in raw_modes) else depth
