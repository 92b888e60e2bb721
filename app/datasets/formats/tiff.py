"""TIFF: one page as any image file, several pages of one size as planes, or the page that is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from app.datasets.formats.eight_bits import default_bits, stretch
from app.datasets.formats.parts import Part
from app.datasets.formats.stored_values import stored_values
from app.datasets.probe import ImageHeader, header_of, refuse_too_large
from app.errors import JobFailure

TILE_WIDTH, TILE_HEIGHT = 322, 323
MOST_PAGES = 10_000
COLOUR_MODES = frozenset(["P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"])
OPENCV_MODES = frozenset(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I;16N"])


def header(path: Path, part: Part) -> ImageHeader:
    """Return the size of the page; the planes that pages are read as count as channels."""
    with _opened(path) as image:
        pages = _pages(image, part)
        image.seek(pages[0])
        first = header_of(image)
        return first if len(pages) == 1 else ImageHeader(first.width, first.height, len(pages), first.bit_depth)


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode as 8 bits: a plain page by OpenCV, as other images; several, floats and wide integers by Pillow."""
    window = part.window()
    with _opened(path) as image:
        pages = _pages(image, part)
        _check_pages(path, image, pages, max_pixels)
        if pages != [0] or image.mode not in OPENCV_MODES:
            pictures = [_picture(image, page, window) for page in pages]
            return pictures[0] if len(pictures) == 1 else np.stack([_grey(picture) for picture in pictures], axis=2)
    from app.datasets.formats import plain  # loads OpenCV, which whoever wants the header only does without

    return plain.pixels(path, part, max_pixels)


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read the numbers of a mask, which is one page."""
    with _opened(path) as image:
        pages = _pages(image, part)
        if len(pages) > 1:
            raise part.fault(f"has {len(pages)} pages, but a mask is one; name it: {path.name}#page=0")
        _check_pages(path, image, pages, max_pixels)
        return stored_values(image)


@contextmanager
def _opened(path: Path) -> Iterator[TiffImagePlugin.TiffImageFile]:
    """Turn what Pillow raises for a broken file, wherever in it, into one sentence."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            assert isinstance(image, TiffImagePlugin.TiffImageFile)
            yield image
    except JobFailure:
        raise
    except FileNotFoundError as error:
        raise JobFailure(f"The image {str(path)!r} cannot be opened: {error.strerror}.") from error
    except Exception as error:  # Pillow lets many kinds of exception through for a broken file
        if path.is_file() and not path.stat().st_size:
            raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.") from error
        raise JobFailure(f"The image {str(path)!r} is damaged or no TIFF that can be read.") from error


def _pages(image: TiffImagePlugin.TiffImageFile, part: Part) -> list[int]:
    """Return the page that is meant, or all pages if they have one size; else the first: the others are previews."""
    if "page" in part:
        return [part.index("page", image.n_frames)]
    count = image.n_frames
    if count > MOST_PAGES:
        raise part.fault(f"has {count} pages, more than the {MOST_PAGES:,} that are read; name one: #page=0")
    sizes = set()
    for page in range(count):
        image.seek(page)
        sizes.add(image.size)
    image.seek(0)
    return list(range(count)) if len(sizes) == 1 else [0]


def _check_pages(path: Path, image: TiffImagePlugin.TiffImageFile, pages: list[int], max_pixels: int) -> None:
    """Judge size and tiles of what is read, before a decoder allocates what the file asks for."""
    for page in pages:
        image.seek(page)
        tile = [int(image.tag_v2.get(tag, 0)) for tag in (TILE_WIDTH, TILE_HEIGHT)]
        refuse_too_large(path, max(image.width, tile[0]), max(image.height, tile[1]), max_pixels)
    if image.width * image.height * len(pages) > max_pixels:
        size = f"{len(pages)} pages of {image.width} x {image.height} pixels"
        raise JobFailure(f"The image {str(path)!r} has {size}, more than the {max_pixels:,} that are decoded.")


def _picture(image: Image.Image, page: int, window: tuple[float, float] | None) -> np.ndarray:
    image.seek(page)
    upright = ImageOps.exif_transpose(image)
    if upright.mode in COLOUR_MODES:
        upright = upright.convert("RGB")
    numbers = np.asarray(upright)
    if upright.mode == "LA":
        numbers = numbers[..., 0]
    return stretch(numbers, *window) if window else default_bits(numbers)


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))
