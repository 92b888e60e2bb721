"""PNG, JPEG, BMP, WebP and what else OpenCV decodes: files that are one image."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from app.datasets.formats.codestream import codestream_size
from app.datasets.formats.eight_bits import default_bits, stretch
from app.datasets.formats.parts import Part
from app.datasets.formats.stored_values import stored_values
from app.datasets.probe import read_header, refuse_too_large
from app.errors import InvalidInput, JobFailure

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
PNG_DEPTH = slice(24, 25)
AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
AS_RGB = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_COLOR_RGB  # faster, but OpenCV 4.14 mixes up channels of 16 bits with it
LARGEST_BYTES_PER_PIXEL = 8
LARGEST_EXTRA_BYTES = 64 * 1024**2  # profiles, previews and notes beside the pixels

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is told once, as our error


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode as 8 bits: EXIF orientation applied, of 16 bits the upper 8, palettes as colours, alpha dropped."""
    content = _content(path, max_pixels)
    window = part.window()
    is_eight_bit = content.startswith(JPEG_START) or (content.startswith(PNG_START) and content[PNG_DEPTH] <= b"\x08")
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), AS_RGB if is_eight_bit else AS_STORED)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", None) or "the memory does not suffice"
        raise JobFailure(f"The image {str(path)!r} cannot be decoded: {reason}.") from error
    if decoded is None:
        raise JobFailure(f"The image {str(path)!r} is damaged or of a kind that cannot be read.")
    eight_bits = stretch(decoded, *window) if window else default_bits(decoded)
    if is_eight_bit or eight_bits.ndim == 2:
        return eight_bits
    return cv2.cvtColor(eight_bits, cv2.COLOR_BGR2RGB)


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read with Pillow, which keeps the indexes of a palette and the zeros and ones of a one-bit image."""
    content = _content(path, max_pixels)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return stored_values(image)
    except Exception as error:  # Pillow's plugins let many kinds of exception through for a broken file
        raise JobFailure(f"The mask {str(path)!r} is damaged or of a kind that cannot be read.") from error


def _content(path: Path, max_pixels: int) -> bytes:
    """Read the file, and judge its header."""
    content = _bytes(path, max_pixels)
    if not content:
        raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.")
    refuse_too_large(path, *_size(content, path), max_pixels)
    if _is_cut_off(content):
        raise JobFailure(f"The image {str(path)!r} is cut off: its end is missing.")
    return content


def _bytes(path: Path, max_pixels: int) -> bytes:
    limit = LARGEST_BYTES_PER_PIXEL * max_pixels + LARGEST_EXTRA_BYTES
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size <= limit:
                return file.readall()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JobFailure(f"The image {str(path)!r} cannot be opened: {reason}.") from error
    raise JobFailure(f"The image {str(path)!r} is larger than {limit:,} bytes, the limit of image files.")


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Read width and height; of PNG and JPEG here, as Pillow takes longer to open a small one than cv2 to decode it."""
    if content.startswith(PNG_START) and content[12:16] == b"IHDR" and len(content) >= 33:
        return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content.startswith(JPEG_START) and (size := codestream_size(content)):
        return size
    try:
        header = read_header(io.BytesIO(content), str(path))
    except InvalidInput as error:
        raise JobFailure(error.message) from error
    return header.width, header.height


def _is_cut_off(content: bytes) -> bool:
    """Tell whether a PNG or JPEG lacks its end: decoders fill what is missing of a JPEG with grey and say nothing."""
    if content.startswith(PNG_START):
        return content.rfind(b"IEND") < 0
    if content.startswith(JPEG_START):
        return not content.endswith(JPEG_END) and content.rfind(JPEG_END) < content.rfind(JPEG_SCAN)
    return False
