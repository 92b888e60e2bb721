"""Add up what the samples of a dataset show; the memory it takes does not grow with the images."""

from collections import Counter

import numpy as np

from app.datasets.description import Description
from app.datasets.report.sample import Measures

MOST_SIZES = 20
MOST_VALUES = 64
DIGITS = 6


class ImageTally:
    """Sizes, depths and values of all images, and the moments of those in the training split."""

    def __init__(self) -> None:
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._channels: Counter[int] = Counter()
        self._bit_depths: Counter[int] = Counter()
        self._lowest = 255
        self._highest = 0
        self._moments = Moments()

    def add(self, measures: Measures, *, is_training: bool) -> None:
        """Count one sample; one that cannot be read counts nothing."""
        if measures.size is None:
            return
        self._sizes[measures.size] += 1
        if measures.header is not None:
            self._channels[measures.header.channels] += 1
            self._bit_depths[measures.header.bit_depth] += 1
        self._lowest = min(self._lowest, measures.lowest)
        self._highest = max(self._highest, measures.highest)
        if is_training:
            self._moments.add(measures)

    def images(self) -> dict:
        """Return the part of the report on sizes, depths and values."""
        common = [{"width": w, "height": h, "count": count} for (w, h), count in self._sizes.most_common(MOST_SIZES)]
        return {
            "readable": self._sizes.total(),
            "sizes": common,
            "distinct_sizes": len(self._sizes),
            "width": _span(self._sizes, 0),
            "height": _span(self._sizes, 1),
            "channels": {str(count): images for count, images in sorted(self._channels.items())},
            "bit_depths": {str(depth): images for depth, images in sorted(self._bit_depths.items())},
            "value_range": [self._lowest, self._highest] if self._sizes else None,
        }

    def training_statistics(self) -> dict | None:
        """Return mean and standard deviation of the training split's channels; None without such images."""
        return self._moments.statistics()


class Moments:
    """Mean and standard deviation per channel over all pixels of many images, each pixel with the same weight."""

    def __init__(self) -> None:
        self._images = 0
        self._pixels = 0
        self._sums = np.zeros(1)
        self._squares = np.zeros(1)

    def add(self, measures: Measures) -> None:
        """Add the sums of one image."""
        width, height = measures.size or (0, 0)
        self._images += 1
        self._pixels += width * height
        self._sums = self._sums + measures.sums
        self._squares = self._squares + measures.squares

    def statistics(self) -> dict | None:
        """Return the moments in 0..255 and in 0..1, and the augmentation texts that use them."""
        if not self._pixels:
            return None
        mean = self._sums / self._pixels
        std = np.sqrt(np.maximum(self._squares / self._pixels - mean**2, 0))
        std[std < 1e-6] = 0  # what rounding leaves of a constant
        return {
            "images": self._images,
            "mean": _rounded(mean / 255),
            "std": _rounded(std / 255),
            "mean_255": _rounded(mean),
            "std_255": _rounded(std),
            "augmentations": _normalising_text(mean / 255, std / 255),
            "augmentations_255": _normalising_text(mean, std, divisor=1),
        }


def split_counts(description: Description) -> dict:
    """Return, for each split, how many samples it has, how many are labelled, and how many are of each class."""
    counts = {}
    for name, indexes in description.splits.items():
        labelled = sum(description.samples[index].has_label for index in indexes)
        classes = dict(zip(description.classes, description.class_counts(name), strict=True))
        counts[name] = {"samples": len(indexes), "labelled": labelled, "classes": classes}
    return counts


def class_balance(description: Description) -> dict | None:
    """Return how the classes share the labels of the training split, or of all samples where there are no splits."""
    indexes = description.split("training") if description.splits else range(len(description.samples))
    counted = Counter(label for index in indexes for label in description.samples[index].classes or ())
    total = counted.total()
    if not total:
        return None
    shares = {name: round(counted[index] / total, DIGITS) for index, name in enumerate(description.classes)}
    present = [count for count in counted.values() if count]
    return {"fractions": shares, "imbalance": round(max(present) / min(present), 2)}


def _span(sizes: Counter[tuple[int, int]], axis: int) -> dict | None:
    if not sizes:
        return None
    lengths = np.array([size[axis] for size in sizes])
    order = np.argsort(lengths)
    reached = np.cumsum(np.array(list(sizes.values()))[order])
    median = lengths[order][np.searchsorted(reached, (reached[-1] + 1) // 2)]
    return {"minimum": int(lengths.min()), "median": int(median), "maximum": int(lengths.max())}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def _normalising_text(mean: np.ndarray, std: np.ndarray, divisor: int = 255) -> str | None:
    """Return the augmentation text that brings the training split to mean 0 and deviation 1; None for a constant."""
    if (std < 1e-5).any():
        return None
    to_float = f"AugToFloat32 divisor={divisor}"
    normalise = f"AugNormalize mean={_vector(mean)} std={_vector(std)}"
    return f"SequentialAugmentationContainer {to_float} {normalise} end"


def _vector(values: np.ndarray) -> str:
    numbers = [f"{float(value):.{DIGITS}f}" for value in values]
    return numbers[0] if len(numbers) == 1 else f"({','.join(numbers)})"
