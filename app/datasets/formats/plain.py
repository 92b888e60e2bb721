"""PNG, JPEG, BMP, WebP and what else OpenCV decodes: files that are one image."""

import io
import os
import stat
import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from app.datasets.formats.codestream import jpeg_size
from app.datasets.formats.eight_bits import default_bits, stretch
from app.datasets.formats.parts import Part
from app.datasets.formats.stored_values import stored_values
from app.datasets.places import why_no_file
from app.datasets.probe import read_header, refuse_too_large
from app.errors import InvalidInput, JobFailure

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
PNG_HEADER, PNG_HEADER_END = slice(12, 16), 33
PNG_SIZE, PNG_DEPTH = struct.Struct(">2I"), 24
AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
AS_RGB = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_COLOR_RGB  # faster, but OpenCV 4.14 mixes up channels of 16 bits with it
LARGEST_BYTES_PER_PIXEL = 8
LARGEST_EXTRA_BYTES = 64 * 1024**2  # profiles, previews and notes beside the pixels

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is told once, as our error


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode as 8 bits: EXIF orientation applied, of 16 bits the upper 8, palettes as colours, alpha dropped."""
    content = _content(path, max_pixels)
    is_eight_bit = content.startswith(JPEG_START) or (content.startswith(PNG_START) and content[PNG_DEPTH] <= 8)
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), AS_RGB if is_eight_bit else AS_STORED)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", None) or "the memory does not suffice"
        raise JobFailure(f"The image {str(path)!r} cannot be decoded: {reason}.") from error
    if decoded is None:
        raise JobFailure(f"The image {str(path)!r} is damaged or of a kind that cannot be read.")
    window = part.window()
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
    """Read the file, and judge its header.

    That of PNG and JPEG is read here: to open a small one, Pillow takes longer than OpenCV to decode it. A JPEG without
    its end is decoded without a word, and a PNG without its last piece too; what is missing is grey then.
    """
    content = _bytes(path, max_pixels)
    size = None
    is_whole = True
    if content.startswith(JPEG_START):
        size = jpeg_size(content)
        is_whole = content.endswith(JPEG_END) or content.rfind(JPEG_END) >= content.rfind(JPEG_SCAN)
    elif content.startswith(PNG_START):
        if content[PNG_HEADER] == b"IHDR" and len(content) >= PNG_HEADER_END:
            size = PNG_SIZE.unpack_from(content, PNG_HEADER.stop)
        is_whole = content.rfind(b"IEND") >= 0
    width, height = size or _size(content, path)
    if width * height > max_pixels:
        refuse_too_large(path, width, height, max_pixels)
    if not is_whole:
        raise JobFailure(f"The image {str(path)!r} is cut off: its end is missing.")
    return content


def _size(content: bytes, path: Path) -> tuple[int, int]:
    if not content:
        raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.")
    try:
        header = read_header(io.BytesIO(content), str(path))
    except InvalidInput as error:
        raise JobFailure(error.message) from error
    return header.width, header.height


def _bytes(path: Path, max_pixels: int) -> bytes:
    limit = LARGEST_BYTES_PER_PIXEL * max_pixels + LARGEST_EXTRA_BYTES
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would keep us for ever
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise JobFailure(f"The image {str(path)!r} {why_no_file(path)}.")
            if state.st_size <= limit:
                return _read(descriptor, state.st_size)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JobFailure(f"The image {str(path)!r} cannot be opened: {reason}.") from error
    raise JobFailure(f"The image {str(path)!r} is larger than {limit:,} bytes, the limit of image files.")


def _read(descriptor: int, size: int) -> bytes:
    """Read so many bytes: mostly at once, which is half of the time that a file object takes."""
    content = os.read(descriptor, size)
    while len(content) < size and (more := os.read(descriptor, size - len(content))):
        content += more
    return content
