"""NIfTI: one slice of a volume as the file stores it, read by nibabel."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from app.datasets.formats.eight_bits import stretch, value_range
from app.datasets.formats.kinds import load_library
from app.datasets.formats.parts import Part
from app.datasets.probe import ImageHeader, refuse_too_large
from app.errors import JobFailure

LAST_AXIS = 2
UNPACKED_VOXELS_PER_PIXEL = 8  # a slice across a packed volume unpacks all of it


def header(path: Path, part: Part) -> ImageHeader:
    """Return the size of the slice."""
    with _faults_of(path):
        volume = _open(path)
        width, height = _size(volume, part)
        dtype = volume.get_data_dtype()
        return ImageHeader(width, height, 1 if dtype.names is None else 3, _depth(dtype))


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read one slice as 8 bits, by one window for all slices of a volume."""
    with _faults_of(path):
        volume = _open(path)
        numbers = _slice(path, volume, part, max_pixels)
        window = part.window()
        if numbers.dtype == np.uint8 and window is None:
            return numbers
        return stretch(numbers, *(window or _window(path, volume, part)))


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Read the numbers of one slice, as segmentations hold them."""
    with _faults_of(path):
        return _slice(path, _open(path), part, max_pixels)


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except JobFailure:
        raise
    except Exception as error:  # nibabel, gzip and NumPy let many kinds of exception through for a broken file
        raise JobFailure(f"The image {str(path)!r} is damaged or no NIfTI file that can be read.") from error


def _open(path: Path) -> Any:
    """Read the header; the voxels stay in the file until they are asked for."""
    if not path.stat().st_size:
        raise JobFailure(f"The image {str(path)!r} is empty: it has 0 bytes.")
    volume = load_library("nibabel", "nifti").load(path, keep_file_open=True)
    if volume.get_data_dtype().kind == "c":
        raise JobFailure(f"The image {str(path)!r} holds complex numbers, which have no grey value.")
    return volume


def _shape(volume: Any) -> tuple[int, ...]:
    """Return the lengths of the axes, three or more."""
    shape = tuple(int(length) for length in volume.shape)
    return shape + (1,) * (3 - len(shape))


def _size(volume: Any, part: Part) -> tuple[int, int]:
    first, second = _in_plane(part)
    shape = _shape(volume)
    _slicer(volume, part)
    return shape[first], shape[second]


def _in_plane(part: Part) -> tuple[int, int]:
    """Return the axes that run along the columns and the rows of the picture."""
    axis = part.index("axis", 3, default=LAST_AXIS)
    first, second = (other for other in range(3) if other != axis)
    return first, second


def _slicer(volume: Any, part: Part) -> tuple[int | slice, ...]:
    """Return what selects the slice that is meant; of a volume of one slice it need not be named."""
    shape = _shape(volume)
    axis = part.index("axis", 3, default=LAST_AXIS)
    if shape[axis] > 1 and "slice" not in part:
        told = f"name one behind the file's name: #slice=0 to #slice={shape[axis] - 1}"
        raise part.fault(f"is a volume of {shape[axis]} slices; {told}")
    slicer: list[int | slice] = [slice(None)] * 3
    slicer[axis] = part.index("slice", shape[axis], default=0)
    return (*slicer, *_later_axes(shape, part))


def _later_axes(shape: tuple[int, ...], part: Part) -> tuple[int, ...]:
    """Return the position on the axes behind the third: `volume` counts them through, the fourth fastest."""
    count = int(np.prod(shape[3:], dtype=np.int64))
    if count > 1 and "volume" not in part:
        raise part.fault(f"holds {count} volumes; name one: #volume=0 to #volume={count - 1}, and its slice: &slice=0")
    index = part.index("volume", count, default=0)
    return tuple(int(place) for place in np.unravel_index(index, shape[3:], order="F")) if shape[3:] else ()


def _slice(path: Path, volume: Any, part: Part, max_pixels: int) -> np.ndarray:
    width, height = _size(volume, part)
    refuse_too_large(path, width, height, max_pixels)
    shape = _shape(volume)
    voxels = int(np.prod(shape[:3], dtype=np.int64))
    if part.index("axis", 3, default=LAST_AXIS) != LAST_AXIS and voxels > UNPACKED_VOXELS_PER_PIXEL * max_pixels:
        raise part.fault(f"is cut across {voxels:,} voxels, too many at once; slices along the axis 2 can be read")
    taken = np.asanyarray(volume.dataobj[_slicer(volume, part)[: len(volume.shape)]])
    numbers = taken.reshape(width, height).T
    return numbers if numbers.dtype.names is None else np.stack([numbers[name] for name in "RGB"], axis=2)


def _window(path: Path, volume: Any, part: Part) -> tuple[float, float]:
    """Return the display range that the header gives, else the range of the volume's numbers."""
    low, high = float(volume.header["cal_min"]), float(volume.header["cal_max"])
    if low < high:
        return low, high
    state = path.stat()
    return _range_of(path, state.st_mtime_ns, state.st_size, _later_axes(_shape(volume), part))


@lru_cache(maxsize=1024)
def _range_of(path: Path, changed: int, size: int, later: tuple[int, ...]) -> tuple[float, float]:
    """Go through a volume slice by slice, once: its slices are comparable only if they share a window."""
    volume = _open(path)
    depth = _shape(volume)[LAST_AXIS]
    slicers = ((slice(None), slice(None), index, *later)[: len(volume.shape)] for index in range(depth))
    lows, highs = zip(*(value_range(np.asanyarray(volume.dataobj[slicer])) for slicer in slicers), strict=True)
    return min(lows), max(highs)


def _depth(dtype: np.dtype) -> int:
    return 8 if dtype.names else 8 * dtype.itemsize
