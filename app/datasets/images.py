"""Decode images and masks, and write masks. For workers: the web process never decodes."""

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput, JobFailure
from app.files import write_atomically

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
GOLDEN_RATIO = 0.618034  # steps of it spread hues so that neighbouring classes differ

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is told once, as our error


def read_image(paths: Sequence[Path], channels: int, *, max_pixels: int) -> np.ndarray:
    """Decode an image, or planes that are stacked as channels.

    EXIF orientation is applied, 16 bits become the upper 8, palettes become RGB, alpha is dropped.

    Args:
        paths: one file, or one file per plane; each plane is read as grey.
        channels: 1 for grey, 3 for RGB; of several planes, their number.
        max_pixels: the largest width x height that is decoded.

    Returns:
        `(H, W, channels)` uint8.

    Raises:
        JobFailure: naming the file and what is wrong with it.
    """
    if len(paths) == 1:
        pixels = _convert(_decode(paths[0], max_pixels), channels, paths[0])
        return np.ascontiguousarray(pixels)
    if len(paths) != channels:
        raise JobFailure(f"The image {str(paths[0])!r} has {len(paths)} planes, but {channels} channels are expected.")
    planes = [_convert(_decode(path, max_pixels), 1, path) for path in paths]
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape != planes[0].shape:
            sizes = f"{_size(plane)} pixels and the first plane {_size(planes[0])}"
            raise JobFailure(f"The plane {str(path)!r} has {sizes}; the planes of an image have one size.")
    return np.concatenate(planes, axis=2)


def read_mask(path: Path, class_count: int, *, max_pixels: int) -> np.ndarray:
    """Decode a mask into the class of each pixel.

    With up to two classes it is binary: if no value is above 1, values above 0 are class 1, else values above 127.
    With more classes the values, or the indexes of a palette, are the class indexes.

    Returns:
        `(H, W)` uint8 of class indexes.

    Raises:
        JobFailure: naming the file, and the value that is no class.
    """
    values = _mask_values(path, max_pixels)
    largest = int(values.max())
    if class_count <= 2:
        return (values > (0 if largest <= 1 else 127)).astype(np.uint8)
    if largest >= class_count or int(values.min()) < 0:
        wrong = largest if largest >= class_count else int(values.min())
        expected = f"the {class_count} classes have the values 0 to {class_count - 1}"
        raise JobFailure(f"The mask {str(path)!r} holds the value {wrong}, but {expected}.")
    return values.astype(np.uint8)


def write_mask(path: Path, class_map: np.ndarray, class_count: int) -> None:
    """Write a mask as PNG: 0 and 255 with up to two classes, else a palette whose indexes are the class indexes.

    Args:
        class_map: `(H, W)` integers from 0 to `class_count` - 1 (to 1 with one class).
    """
    if class_count <= 2:
        image = Image.fromarray(np.where(class_map > 0, 255, 0).astype(np.uint8))
    elif class_count <= 256:
        image = Image.frombytes("P", class_map.shape[::-1], np.ascontiguousarray(class_map, dtype=np.uint8).tobytes())
        image.putpalette(_palette(class_count))
    else:
        raise JobFailure(f"A mask of {class_count} classes cannot be written; PNG palettes have 256 colours.")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def _palette(class_count: int) -> list[int]:
    """Return black and then bright colours as flat RGB values 0..255."""
    colours = [(0.0, 0.0, 0.0)] + [colorsys.hsv_to_rgb(i * GOLDEN_RATIO % 1, 0.75, 1) for i in range(class_count - 1)]
    return [round(255 * part) for colour in colours for part in colour]


def _decode(path: Path, max_pixels: int) -> np.ndarray:
    content = _content(path, max_pixels)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        raise JobFailure(f"The image {str(path)!r} cannot be decoded: {error.err}.") from error
    if pixels is None:
        raise JobFailure(f"The image {str(path)!r} is damaged or of a kind that cannot be read.")
    return pixels


def _convert(pixels: np.ndarray, channels: int, path: Path) -> np.ndarray:
    """Bring cv2's grey or BGR pixels to `(H, W, 1)` grey or `(H, W, 3)` RGB."""
    is_grey = pixels.ndim == 2
    if channels == 1:
        return (pixels if is_grey else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))[..., np.newaxis]
    if channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if is_grey else cv2.COLOR_BGR2RGB)
    raise JobFailure(f"The image {str(path)!r} is one file, which gives 1 or 3 channels, but {channels} are expected.")


def _mask_values(path: Path, max_pixels: int) -> np.ndarray:
    """Read with Pillow, which keeps the indexes of a palette and the zeros and ones of a one-bit image."""
    content = _content(path, max_pixels)
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image)
            values = np.asarray(upright.convert("RGB") if upright.mode in ("RGBA", "CMYK", "YCbCr") else upright)
    except Exception as error:  # Pillow's plugins let many kinds of exception through for a broken file
        raise JobFailure(f"The mask {str(path)!r} is damaged or of a kind that cannot be read.") from error
    if upright.mode == "LA":
        return values[..., 0]
    if values.ndim == 3:
        return _single_value(values, path)
    return values


def _single_value(values: np.ndarray, path: Path) -> np.ndarray:
    if np.ptp(values, axis=2).any():
        raise JobFailure(
            f"The mask {str(path)!r} is coloured; one value per pixel, grey or a palette index, is expected."
        )
    return values[..., 0]


def _content(path: Path, max_pixels: int) -> bytes:
    """Read the file and judge its header before a decoder allocates what the header asks for."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JobFailure(f"The image {str(path)!r} cannot be opened: {reason}.") from error
    if not content:
        raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.")
    try:
        header = _png_header(content) or probe(io.BytesIO(content), str(path))
    except InvalidInput as error:
        raise JobFailure(error.message) from error
    if header.width * header.height > max_pixels:
        size = f"{header.width} x {header.height} pixels"
        raise JobFailure(f"The image {str(path)!r} has {size}, more than the {max_pixels:,} that are decoded.")
    if _is_cut_off(content):
        raise JobFailure(f"The image {str(path)!r} is cut off: its end is missing.")
    return content


def _png_header(content: bytes) -> ImageHeader | None:
    """Read a PNG's size from its fixed place: Pillow takes longer to open a small PNG than cv2 to decode it."""
    if not content.startswith(PNG_START) or content[12:16] != b"IHDR" or len(content) < 33:
        return None
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    return ImageHeader(width, height, channels=1 if content[25] in (0, 4) else 3, bit_depth=content[24])


def _is_cut_off(content: bytes) -> bool:
    """Tell whether a PNG or JPEG lacks its end: decoders fill what is missing of a JPEG with grey and say nothing."""
    if content.startswith(PNG_START):
        return content.rfind(b"IEND") < 0
    if content.startswith(JPEG_START):
        return content.rfind(JPEG_END) < content.rfind(JPEG_SCAN)
    return False


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
