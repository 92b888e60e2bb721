"""TIFF: one page as any image file, several pages of one size as planes, or the page that is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from app.datasets.formats.eight_bits import default_bits, stretch
from app.datasets.formats.parts import Part
from app.datasets.formats.tiff_pages import Pages, open_pages
from app.datasets.probe import ImageHeader
from app.errors import JobFailure

MOST_PAGES = 10_000


def header(path: Path, part: Part) -> ImageHeader:
    """Return the size of the page; the planes that pages are read as count as channels."""
    with _opened(path, part) as pages:
        chosen = _chosen(pages, part)
        first = pages.header(chosen[0])
        return first if len(chosen) == 1 else ImageHeader(first.width, first.height, len(chosen), first.bit_depth)


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode as 8 bits: of 16 bits the upper 8, floats and wide integers stretched, palettes as colours."""
    window = part.window()
    with _opened(path, part) as pages:
        chosen = _chosen(pages, part)
        _check(path, pages, chosen, max_pixels)
        numbers = map(pages.numbers, chosen)
        pictures = [stretch(page, *window) if window else default_bits(page) for page in numbers]
        return pictures[0] if len(pictures) == 1 else np.stack([_grey(picture) for picture in pictures], axis=2)


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read the numbers of a mask, which is one page."""
    with _opened(path, part) as pages:
        chosen = _chosen(pages, part)
        if len(chosen) > 1:
            raise part.fault(f"has {len(chosen)} pages, but a mask is one; name it: {path.name}#page=0")
        _check(path, pages, chosen, max_pixels)
        return pages.stored(chosen[0])


@contextmanager
def _opened(path: Path, part: Part) -> Iterator[Pages]:
    """Turn what is raised for a broken file, wherever in it, into one sentence."""
    try:
        with path.open("rb") as file:
            yield open_pages(path, file, is_windowed=part.window() is not None)
    except JobFailure:
        raise
    except Exception as error:  # the readers let many kinds of exception through for a broken file
        if not path.stat().st_size:
            raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.") from error
        raise JobFailure(f"The image {str(path)!r} is damaged or no TIFF that can be read.") from error


def _chosen(pages: Pages, part: Part) -> list[int]:
    """Return the page that is meant, or all pages if they have one size; else the first: the others are previews."""
    if "page" in part:
        return [part.index("page", pages.count)]
    if pages.count > MOST_PAGES:
        raise part.fault(f"has {pages.count} pages, more than the {MOST_PAGES:,} that are read; name one: #page=0")
    headers = [pages.header(page) for page in range(pages.count)]
    sizes = {(header.width, header.height) for header in headers}
    return list(range(pages.count)) if len(sizes) == 1 else [0]


def _check(path: Path, pages: Pages, chosen: list[int], max_pixels: int) -> None:
    """Judge what is read, before a decoder allocates what the file asks for."""
    for page in chosen:
        pages.check(page, max_pixels)
    first = pages.header(chosen[0])
    if first.width * first.height * len(chosen) > max_pixels:
        size = f"{len(chosen)} pages of {first.width} x {first.height} pixels"
        raise JobFailure(f"The image {str(path)!r} has {size}, more than the {max_pixels:,} that are decoded.")


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))
