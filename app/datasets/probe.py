"""Read what an image file says of itself, without decoding its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from app.datasets.formats.kinds import source_of
from app.datasets.places import why_no_file
from app.errors import InvalidInput, JobFailure

Image.MAX_IMAGE_PIXELS = None  # headers only are read here; whoever decodes has a limit of its own, from the settings

# What `app.datasets.images` decodes; Pillow knows more kinds, but a header alone is of no use.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")

ORIENTATION_TAG = 0x0112
SIDEWAYS = frozenset([5, 6, 7, 8])
CHANNELS = {"1": 1, "L": 1, "LA": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1}
GREY_ALPHA_16 = "LA;16B"  # which Pillow opens as RGBA
NARROW_DEPTHS = {"L;2": 2, "L;4": 4}
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
    if exif.get(ORIENTATION_TAG) in SIDEWAYS and image.format != "TIFF":  # whose size Pillow has turned already
        width, height = height, width
    raw_mode = _raw_mode(image)
    channels = 1 if raw_mode == GREY_ALPHA_16 else CHANNELS.get(image.mode, 3)
    return ImageHeader(width, height, channels, _bit_depth(image.mode, raw_mode))


def refuse_too_large(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Raise a JobFailure for a size that is not decoded; to be called before a decoder allocates it."""
    if width * height > max_pixels:
        size = f"{width} x {height} pixels"
        raise JobFailure(f"The image {str(path)!r} has {size}, more than the {max_pixels:,} that are decoded.")


def _read_plain(path: Path, name: str) -> ImageHeader:
    absence = why_no_file(path)
    if absence:
        raise InvalidInput(f"The image {name!r} {absence}.")
    try:
        with path.open("rb") as file:
            return read_header(file, name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"The image {name!r} cannot be opened: {reason}.") from error


def grey_step(image: Image.Image) -> int:
    """Return what Pillow multiplies the numbers of an image with: grey of 2 or 4 bits is spread over 0..255.

    Args:
        image: opened, but not decoded yet.
    """
    return 255 // (2 ** NARROW_DEPTHS[raw_mode] - 1) if (raw_mode := _raw_mode(image)) in NARROW_DEPTHS else 1


def _raw_mode(image: Image.Image) -> str:
    """Return how the decoder finds the pixels; Pillow opens 16-bit colours as if they had 8 bits."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _bit_depth(mode: str, raw_mode: str) -> int:
    depth = BIT_DEPTHS.get(mode, 8)
    return NARROW_DEPTHS.get(raw_mode, 16 if depth == 8 and ";16" in raw_mode else depth)
