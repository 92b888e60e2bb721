"""Images and masks as the command line names them: arrays (`.npy`) exactly, all else as datasets read them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from app.datasets.formats.eight_bits import default_bits
from app.datasets.images import read_image, read_mask_values
from app.datasets.places import file_of
from app.datasets.probe import probe, refuse_too_large
from app.errors import InvalidInput, JobFailure
from app.files import write_atomically

ARRAY = ".npy"
ARRAY_TYPES = (np.dtype(np.uint8), np.dtype(np.float32))
# How Pillow writes an image under these names; a mask is only written by one that keeps every value.
FORMATS: dict[str, tuple[str, dict]] = {
    ".png": ("PNG", {}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".jpg": ("JPEG", {"quality": 100, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 100, "subsampling": 0}),
}
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
DEEPEST_MASK = 65535
DEEP_SUFFIXES = (".png", ".tif", ".tiff")


def is_array(place: Path) -> bool:
    """Tell by its name whether a file holds an array."""
    return place.suffix.lower() == ARRAY


def read_pixels(place: Path, max_pixels: int) -> np.ndarray:
    """Read an image.

    Returns:
        `(H, W)` or `(H, W, C)`, uint8 or float32, of an array as it is stored; `(H, W, C)` uint8 of an image file.

    Raises:
        InvalidInput: naming the file and what is wrong with it.
    """
    if is_array(place):
        return _read_array(place, (2, 3), max_pixels)
    channels = probe(place).channels
    try:
        return read_image([place], channels, max_pixels=max_pixels)
    except JobFailure as error:
        raise InvalidInput(error.message) from error


def read_classes(place: Path, max_pixels: int) -> np.ndarray:
    """Read a mask as the values that it holds: `(H, W)`, uint8, of an array float32 too, of an image file uint16 too.

    Raises:
        InvalidInput: naming the file and what is wrong with it.
    """
    if is_array(place):
        return _read_array(place, (2,), max_pixels)
    try:
        values = read_mask_values(place, max_pixels=max_pixels)
    except JobFailure as error:
        raise InvalidInput(error.message) from error
    if values.min() < 0 or values.max() > DEEPEST_MASK:
        raise InvalidInput(
            f"The mask {str(place)!r} holds values beyond 0 to {DEEPEST_MASK}; class indexes are expected."
        )
    return values.astype(np.uint8 if values.max() <= 255 else np.uint16)


def result_name(place: Path, *, is_mask: bool = False) -> str:
    """Return the name of a result: the input's own, with `.png` behind it where files of its kind are not written."""
    kept = (ARRAY, *(MASK_SUFFIXES if is_mask else FORMATS))
    return place.name if place.suffix.lower() in kept else f"{place.name}.png"


def write_pixels(path: Path, pixels: np.ndarray) -> None:
    """Write an array exactly, or an image file of 8 bits, of a mask up to 16.

    Args:
        path: its suffix says how.
        pixels: `(H, W)` or `(H, W, C)`; floating-point values become 8 bits as those of datasets do.

    Raises:
        InvalidInput: for planes that are neither grey nor colour.
        StorageUnavailable: if the file cannot be written.
    """
    buffer = io.BytesIO()
    if is_array(path):
        np.save(buffer, np.ascontiguousarray(pixels))
    else:
        name, options = FORMATS[path.suffix.lower()]
        _picture(path, pixels).save(buffer, name, **options)
    write_atomically(path, buffer.getvalue())


def _picture(path: Path, pixels: np.ndarray) -> Image.Image:
    is_deep = pixels.dtype == np.uint16 and path.suffix.lower() in DEEP_SUFFIXES
    pixels = np.ascontiguousarray(pixels if is_deep else default_bits(pixels))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise InvalidInput(
            f"{path.name!r} would have {pixels.shape[2]} channels, and an image file is grey or colour; "
            "give the image as an array (.npy)."
        )
    return Image.fromarray(pixels)


def _read_array(place: Path, dimensions: tuple[int, ...], max_pixels: int) -> np.ndarray:
    try:
        pixels = np.load(place, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InvalidInput(
            f"The array {str(place)!r} cannot be opened: {error.strerror or 'it is cut off'}."
        ) from error
    except (ValueError, EOFError, SyntaxError) as error:
        raise InvalidInput(f"{str(place)!r} is no whole array that numpy.save has written.") from error
    expected = " or ".join({2: "(H, W)", 3: "(H, W, C)"}[count] for count in dimensions)
    if pixels.ndim not in dimensions or not pixels.size:
        raise InvalidInput(f"The array {str(place)!r} has the shape {pixels.shape}; {expected} is expected.")
    dtype = pixels.dtype.newbyteorder("=")
    if dtype not in ARRAY_TYPES:
        raise InvalidInput(f"The array {str(place)!r} holds {pixels.dtype.name}; uint8 or float32 is expected.")
    try:
        refuse_too_large(place, pixels.shape[1], pixels.shape[0], max_pixels)
    except JobFailure as error:
        raise InvalidInput(error.message) from error
    return np.array(pixels, dtype, order="C")


def check_present(place: Path) -> None:
    """Refuse a place whose file is not there.

    Raises:
        InvalidInput: naming it.
    """
    path = file_of(place)
    if not path.is_file():
        raise InvalidInput(f"{str(place)!r} {'is a folder, not a file' if path.is_dir() else 'does not exist'}.")
