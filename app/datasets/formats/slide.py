"""Whole-slide images: a level, or a region of one, read by OpenSlide."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from app.datasets.formats.kinds import load_library
from app.datasets.formats.parts import Part
from app.datasets.probe import ImageHeader, refuse_too_large
from app.errors import JobFailure

REGION_KEYS = ("x", "y", "width", "height")


class Region(NamedTuple):
    """A rectangle: its corner in pixels of level 0, as viewers of slides count, its size in those of `level`."""

    level: int
    x: int
    y: int
    width: int
    height: int


def header(path: Path, part: Part) -> ImageHeader:
    """Return the size of the region."""
    with _opened(path) as slide:
        region = _region(slide, part)
        return ImageHeader(region.width, region.height, channels=3, bit_depth=8)


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read the region as RGB; where the scanner recorded nothing it is white."""
    with _opened(path) as slide:
        region = _region(slide, part)
        refuse_too_large(path, region.width, region.height, max_pixels)
        _check_tiles(path, slide, region.level, max_pixels)
        picture = slide.read_region((region.x, region.y), region.level, (region.width, region.height))
        on_white = Image.new("RGBA", picture.size, "white")
        on_white.alpha_composite(picture)
        return np.asarray(on_white.convert("RGB"))


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read the region of a mask; it is grey, its three channels being equal."""
    return pixels(path, part, max_pixels)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    openslide = load_library("openslide", "slides")
    if not path.stat().st_size:
        raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.")
    try:
        with openslide.OpenSlide(path) as slide:
            yield slide
    except JobFailure:
        raise
    except Exception as error:  # what is read, and by which of many readers, decides the kind of exception
        raise JobFailure(f"The image {str(path)!r} is damaged or no slide that can be read.") from error


def _region(slide: Any, part: Part) -> Region:
    level = part.index("level", slide.level_count, default=0)
    width, height = slide.level_dimensions[level]
    if not any(key in part for key in REGION_KEYS):
        return Region(level, 0, 0, width, height)
    region = Region(level, part.whole("x", 0), part.whole("y", 0), part.whole("width"), part.whole("height"))
    scale = slide.level_downsamples[level]
    right, bottom = region.x / scale + region.width, region.y / scale + region.height
    if min(region.x, region.y) < 0 or min(region.width, region.height) < 1 or right > width + 1 or bottom > height + 1:
        raise part.fault(f"does not lie in level {level}, which has {width} x {height} pixels")
    return region


def _check_tiles(path: Path, slide: Any, level: int, max_pixels: int) -> None:
    """Judge the tiles, which are unpacked whole for whatever region."""
    width, height = (slide.properties.get(f"openslide.level[{level}].tile-{side}", "0") for side in ("width", "height"))
    refuse_too_large(path, int(width), int(height), max_pixels)
