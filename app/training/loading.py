"""From a dataset's files to batches: decode, augment, resize, scale; every sample of a split exactly once an epoch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.augment.randomness import sample_generator
from app.datasets.description import Description, Sample
from app.datasets.images import read_image, read_mask
from app.datasets.masks import MaskRule
from app.datasets.places import as_described, resolve
from app.errors import JobFailure
from app.training.config import TrainingConfig
from app.training.remote import LocalCopies
from app.zoo.architectures import SEGMENTATION

CACHE_BYTES = 64 * 1024**2  # small datasets stay in memory; of all others no more than this does
BATCHES_AHEAD = 3


@dataclass(frozen=True)
class Batch:
    """Some samples together.

    Attributes:
        indexes: positions in the dataset's list of images.
        images: float32 `(N, C, H, W)`, whatever their order in memory.
        targets: int64, `(N,)` class indexes, `(N, classes)` with 1 for each class of a sample if multi-label, or
            `(N, H, W)` class maps; None where the split has no labels.
    """

    indexes: tuple[int, ...]
    images: np.ndarray
    targets: np.ndarray | None


class Batches(Protocol):
    """The batches of one split, as an engine reads them."""

    @property
    def sample_count(self) -> int:
        """The number of samples in an epoch."""

    @property
    def batch_count(self) -> int:
        """The number of batches in an epoch, the last partial one included."""

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch without the first ones; every sample comes, the last partial batch included.

        Raises:
            JobFailure: naming the file that cannot be read.
        """


class SampleReader:
    """Reads the samples of one dataset as a network's config wants them; keeps decoded ones while they are small."""

    def __init__(
        self,
        description: Description,
        folder: Path | str,
        config: TrainingConfig,
        copies: LocalCopies,
        max_pixels: int,
        mask_rule: MaskRule | None = None,
    ):
        """Take the dataset, the config, and the rule for the values of its masks; without one they are left alone."""
        self.description = description
        self._folder = folder
        self._config = config
        self._copies = copies
        self._max_pixels = max_pixels
        self._is_segmentation = config.task == SEGMENTATION
        self.mask_rule = mask_rule if self._is_segmentation else None
        self._cache: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        self._cached_bytes = 0

    def decoded(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return image `(H, W, C)` uint8 and, for segmentation, class map `(H, W)` uint8, at the file's own size.

        Raises:
            JobFailure: naming the file that cannot be read.
        """
        if index not in self._cache:
            sample = self.description.samples[index]
            paths = [self.path(location) for location in sample.location]
            with _named_as(paths[0], sample.location[0]):
                image = read_image(paths, self._config.channels, max_pixels=self._max_pixels)
            mask = self.class_map(index)
            if mask is not None:
                _check_same_size(sample, image, mask)
            size = image.nbytes + (mask.nbytes if mask is not None else 0)
            if self._cached_bytes + size > CACHE_BYTES:
                return image, mask
            self._cached_bytes += size
            self._cache[index] = image, mask
        return self._cache[index]

    def class_map(self, index: int) -> np.ndarray | None:
        """Return the class map `(H, W)` uint8 of a sample at the file's own size; None without a mask, or its rule.

        Raises:
            JobFailure: naming the file that cannot be read.
        """
        sample = self.description.samples[index]
        if self.mask_rule is None or sample.mask is None:
            return None
        path = self.path(sample.mask)
        with _named_as(path, sample.mask):
            return read_mask(path, self.mask_rule, max_pixels=self._max_pixels)

    def balanced_chances(self, indexes: Sequence[int]) -> np.ndarray:
        """Return the chance of each sample to be drawn with which every class is as likely as the others."""
        classes = [self.description.samples[index].classes for index in indexes]
        counts = Counter(classes)
        return np.array([1 / (len(counts) * counts[label]) for label in classes])

    def prepared(
        self, index: int, pipeline: Pipeline, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | int | None]:
        """Return one sample at the network's size: image `(H, W, C)`, and its target as in `Batch`, or None.

        The image is uint8, or float32 where the augmentation text has made it so.
        """
        image, mask = self.decoded(index)
        image, mask = pipeline(image, mask, generator)
        image, mask = self.resized(image, mask)
        return image, mask if self._is_segmentation else self.class_target(index)

    def class_target(self, index: int) -> np.ndarray | int | None:
        """Return the target of a sample in classification, as in `Batch`; None where it has no label."""
        classes = self.description.samples[index].classes
        if not self._config.is_multi_label:
            return classes[0] if classes else None
        if classes is None:
            return None
        return np.isin(np.arange(len(self._config.classes)), classes).astype(np.int64)

    def path(self, location: str) -> Path:
        """Return where a file lies that the description names; one that lies elsewhere is fetched first."""
        return self._copies.path(resolve(location, self._folder))

    def resized(self, image: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Bring an image `(H, W, C)` and its class map to the network's size, as every engine does."""
        height, width = self._config.input_height, self._config.input_width
        if image.shape[:2] != (height, width):
            shrinks = height * width < image.shape[0] * image.shape[1]
            interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            planes = [
                cv2.resize(image[:, :, start : start + 4], (width, height), interpolation=interpolation)
                for start in range(0, image.shape[2], 4)  # OpenCV shrinks at most four channels at once
            ]
            image = np.concatenate([plane.reshape(height, width, -1) for plane in planes], axis=2)
        if mask is not None and mask.shape != (height, width):
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        return image, mask


@contextmanager
def _named_as(place: Path, location: str) -> Iterator[None]:
    """Have a fault name a file as the dataset's owner does."""
    try:
        yield
    except JobFailure as error:
        raise JobFailure(as_described(error.message, place, location)) from error


def _check_same_size(sample: Sample, image: np.ndarray, mask: np.ndarray) -> None:
    if mask.shape != image.shape[:2]:
        sizes = [f"{height_width[1]} x {height_width[0]}" for height_width in (mask.shape, image.shape)]
        raise JobFailure(
            f"The mask {sample.mask!r} has {sizes[0]} pixels and its image {sample.location[0]!r} {sizes[1]}; "
            "a mask has the size of its image."
        )


class Loader:
    """The batches of one split. Results depend on the seed, the epoch and the sample, never on threads or timing."""

    def __init__(
        self,
        reader: SampleReader,
        indexes: Sequence[int],
        config: TrainingConfig,
        split: str,
        *,
        has_labels: bool = True,
        is_shuffled: bool = False,
    ):
        self._reader = reader
        self._indexes = tuple(indexes)
        self._pipeline = Pipeline(parse(config.augmentations(split)))
        self._batch_size = config.batch_size
        self._seed = config.seed
        self._has_labels = has_labels
        self._is_shuffled = is_shuffled
        self._worker_count = config.loader_workers
        self._chances = reader.balanced_chances(indexes) if is_shuffled and config.class_weights == "sampler" else None

    @property
    def sample_count(self) -> int:
        return len(self._indexes)

    @property
    def batch_count(self) -> int:
        return -(-len(self._indexes) // self._batch_size)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield every sample once, the last partial batch included, reading a few batches ahead of the network.

        A weighted sampler draws as many samples as there are, some of them more than once and others not at all.
        `first` is the number of batches to leave out, as they are after a resume.
        """
        order = sample_order(self._indexes, self._seed, epoch, self._chances, is_shuffled=self._is_shuffled)
        order = order[first * self._batch_size :]
        with ThreadPoolExecutor(self._worker_count, thread_name_prefix="loader") as executor:
            parts = (order[start : start + self._batch_size] for start in range(0, len(order), self._batch_size))
            ahead = BATCHES_AHEAD + self._worker_count - 1
            waiting = [executor.submit(self._batch, part, epoch) for part in islice(parts, ahead)]
            try:
                while waiting:
                    batch = waiting.pop(0).result()
                    waiting.extend(executor.submit(self._batch, part, epoch) for part in islice(parts, 1))
                    yield batch
            finally:
                for future in waiting:
                    future.cancel()

    def _batch(self, part: Sequence[tuple[int, int]], epoch: int) -> Batch:
        indexes = [index for index, _ in part]
        samples = [
            self._reader.prepared(index, self._pipeline, sample_generator(self._seed, epoch, index, times))
            for index, times in part
        ]
        images = as_batch([image for image, _ in samples])
        targets = np.array([target for _, target in samples], dtype=np.int64) if self._has_labels else None
        return Batch(tuple(indexes), images, targets)


def sample_order(
    indexes: Sequence[int], seed: int, epoch: int, chances: np.ndarray | None = None, *, is_shuffled: bool
) -> list[tuple[int, int]]:
    """Return the samples of an epoch in their order, the same for every engine.

    Args:
        indexes: of the split's samples.
        seed: of the training.
        epoch: from 0.
        chances: of each sample to be drawn, with replacement; None where each comes once.
        is_shuffled: whether the order is drawn at all.

    Returns:
        The index of each sample, and how often it came before.
    """
    if not is_shuffled:
        return [(index, 0) for index in indexes]
    generator = np.random.default_rng([seed, epoch])
    if chances is None:
        return [(index, 0) for index in generator.permutation(indexes).tolist()]
    seen: Counter[int] = Counter()
    order = []
    for index in generator.choice(indexes, len(indexes), p=chances).tolist():
        order.append((index, seen[index]))
        seen[index] += 1
    return order


def as_batch(images: Sequence[np.ndarray]) -> np.ndarray:
    """Lay images `(H, W, C)` into one float32 batch `(N, C, H, W)`; an uint8 image becomes 0 to 1.

    The channels of a pixel stay side by side in memory, as the files have them and convolutions like them: nothing is
    moved around for the sake of the shape.
    """
    batch = np.empty((len(images), *images[0].shape), np.float32)
    for place, image in zip(batch, images, strict=True):
        if image.dtype == np.uint8:
            np.divide(image, np.float32(255), out=place)
        else:
            place[...] = image
    return batch.transpose(0, 3, 1, 2)
