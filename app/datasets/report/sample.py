"""Look at one sample for the report: decode its files once and measure them. For workers, as it decodes."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from app.datasets.description import Sample
from app.datasets.images import read_image, read_mask_values
from app.datasets.places import as_described, file_of, why_no_file
from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput, JobFailure

MISSING = "missing"
UNREADABLE = "unreadable"
MASK_SIZE = "mask_size"

Keeper = Callable[[int, Path, np.ndarray], object]

SMALL_SIDE_PX = 16
LARGE_PIXELS = 16_000_000  # images above it are decoded one at a time, so that the memory does not grow with the cores


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one file of a sample, in the words of the report."""

    kind: str
    file: str
    message: str


@dataclass(slots=True)
class Measures:
    """What one sample shows.

    Attributes:
        index: position in the dataset's list of images.
        header: what the file says of itself, None where it says nothing.
        size: width and height in pixels, None where the image cannot be read.
        digest: of the decoded pixels, so that the same picture in two formats is found.
        lowest, highest: of the 8-bit pixels.
        small: a picture of 16 x 16 grey values, flat.
        sums, squares: per channel over all pixels, of the 8-bit values and of their squares.
        mask: the location of the sample's mask, None where it has none that can be read.
        mask_pixels: how many pixels of the mask have which value.
    """

    index: int
    faults: list[Fault] = field(default_factory=list)
    header: ImageHeader | None = None
    size: tuple[int, int] | None = None
    digest: bytes | None = None
    small: np.ndarray | None = None
    lowest: int = 0
    highest: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(1))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(1))
    mask: str | None = None
    mask_pixels: dict[int, int] = field(default_factory=dict)

    @property
    def is_blank(self) -> bool:
        return self.size is not None and self.lowest == self.highest


class SampleGauge:
    """Measures the samples of one dataset; several threads may use one gauge."""

    def __init__(
        self,
        path_of: Callable[[str], Path],
        channels: int,
        max_pixels: int,
        *,
        reads_masks: bool,
        keep_picture: Keeper = lambda index, path, image: None,
        keep_mask: Keeper = lambda index, path, values: None,
    ):
        """Take what holds for all samples.

        Args:
            path_of: turns a location of the description into a local path; raises JobFailure.
            channels: depth of the images as a network sees them.
            max_pixels: the largest image that is decoded.
            reads_masks: whether masks are looked at.
            keep_picture: given the index, the path and the pixels of every image, while they are there.
            keep_mask: likewise given the values of every mask.
        """
        self._path_of = path_of
        self._channels = channels
        self._reads_masks = reads_masks
        self._max_pixels = max_pixels
        self._keep_picture = keep_picture
        self._keep_mask = keep_mask
        self._one_large_image = Lock()

    def measure(self, index: int, sample: Sample) -> Measures:
        """Decode and measure one sample; whatever is wrong with its files is in `faults`."""
        measures = Measures(index)
        paths = [self._existing(location, measures) for location in sample.location]
        if None not in paths:
            self._measure_image(sample.location[0], [path for path in paths if path], measures)
        if sample.mask is not None and self._reads_masks:
            path = self._existing(sample.mask, measures)
            if path:
                self._measure_mask(sample, path, measures)
        return measures

    def _existing(self, location: str, measures: Measures) -> Path | None:
        try:
            path = self._path_of(location)
            reason = why_no_file(file_of(path))
            if reason is None:
                return path
            kind, message = MISSING, f"{location!r} {reason}."
        except JobFailure as error:
            kind, message = MISSING, error.message if location in error.message else f"{location!r}: {error.message}"
        except (OSError, ValueError) as error:  # a name that no file can have
            kind, message = MISSING, f"{location[:200]!r} cannot be looked for: {error}."
        measures.faults.append(Fault(kind, location, message))
        return None

    def _measure_image(self, location: str, paths: Sequence[Path], measures: Measures) -> None:
        header = measures.header = _header(paths[0])
        is_large = header is not None and header.width * header.height > LARGE_PIXELS
        with self._one_large_image if is_large else nullcontext():
            try:
                image = read_image(paths, self._channels, max_pixels=self._max_pixels)
            except JobFailure as error:
                message = as_described(error.message, paths[0], location)
                measures.faults.append(Fault(UNREADABLE, location, message))
                return
            height, width = image.shape[:2]
            measures.size = (width, height)
            measures.digest = blake2b(image.data, digest_size=16, key=repr(image.shape).encode()).digest()
            low, high, _, _ = cv2.minMaxLoc(image.reshape(height, -1))
            measures.lowest, measures.highest = int(low), int(high)
            measures.small = _small_picture(image)
            measures.sums, measures.squares = _sums(image)
            self._keep_picture(measures.index, paths[0], image)

    def _measure_mask(self, sample: Sample, path: Path, measures: Measures) -> None:
        location = sample.mask or ""
        try:
            values = read_mask_values(path, max_pixels=self._max_pixels)
        except JobFailure as error:
            message = as_described(error.message, path, location).replace("The image", "The mask", 1)
            measures.faults.append(Fault(UNREADABLE, location, message))
            return
        size = (values.shape[1], values.shape[0])
        if measures.size not in (None, size):
            width, height = measures.size or size
            message = (
                f"The mask {location!r} has {size[0]} x {size[1]} pixels, its image {sample.location[0]!r} "
                f"{width} x {height}; they have to have one size."
            )
            measures.faults.append(Fault(MASK_SIZE, location, message))
        measures.mask, measures.mask_pixels = location, _counted(values)
        self._keep_mask(measures.index, path, values)


def _counted(values: np.ndarray) -> dict[int, int]:
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()}
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _header(path: Path) -> ImageHeader | None:
    try:
        return probe(path)
    except InvalidInput:
        return None  # the decoder says what is wrong, in its own words


def _small_picture(image: np.ndarray) -> np.ndarray:
    """Return a picture of 16 x 16 grey values, uint8, flat, of an image `(H, W, C)`."""
    shown = np.ascontiguousarray(image[..., :4]) if image.shape[2] > 4 else image
    small = cv2.resize(shown, (SMALL_SIDE_PX, SMALL_SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.rint(small.reshape(SMALL_SIDE_PX * SMALL_SIDE_PX, -1).mean(axis=1)).astype(np.uint8)


def _sums(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the values and of their squares of each channel."""
    means, deviations = (moment.ravel() for moment in cv2.meanStdDev(image))
    count = image.shape[0] * image.shape[1]
    return count * means, count * (deviations**2 + means**2)
