"""Batches read and augmented by ECVL: each sample as the service's own reader would give it.

ECVL's own batches have to be full, and draw all random numbers in a row. Taken sample by sample, the last partial batch
comes like the others, and what is drawn for a sample depends on seed, epoch and sample alone, so that a training can go
on in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from pyecvl import ecvl

from app.augment.parser import parse, to_text
from app.augment.randomness import sample_generator
from app.augment.signatures import ONE_OF, SEQUENTIAL, Augmentation
from app.engines.eddl_engine.augmentation_text import ecvl_text, has_unheeded_chance
from app.engines.eddl_engine.dataset_file import dataset_text
from app.errors import JobFailure
from app.temporary import temporary_folder
from app.training.config import TrainingConfig
from app.training.loading import Batch, SampleReader, as_batch, sample_order
from app.zoo.architectures import SEGMENTATION

COLOURS = {1: ecvl.ColorType.GRAY, 3: ecvl.ColorType.RGB}
MOST_PLANES = 4  # that OpenCV, and so ECVL, turns and distorts at once
LARGEST_DIFFERENCE = 4  # in the mean, of 256 levels: decoders round otherwise, and no more than that


class EcvlLoader:
    """The batches of one split."""

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
        """Take what `Engine.loader` takes; images that lie elsewhere are fetched now.

        Raises:
            JobFailure: for images, or a text, that ECVL does not read.
        """
        if config.channels not in COLOURS:
            raise JobFailure(
                f"ECVL reads images of 1 or 3 channels, not of {config.channels}; choose the engine Torch."
            )
        self._reader = reader
        self._config = config
        self._split = split
        self._indexes = tuple(indexes)
        self._has_labels = has_labels
        self._is_shuffled = is_shuffled
        self._chances = reader.balanced_chances(indexes) if is_shuffled and config.class_weights == "sampler" else None
        self._augmentation = made_augmentation(config.augmentations(split))
        places = {index: place for place, index in enumerate(dict.fromkeys(self._indexes))}
        self._compared: set[int] = set()
        self._samples = dict(zip(places, self._opened(list(places)), strict=True))

    @property
    def sample_count(self) -> int:
        return len(self._indexes)

    @property
    def batch_count(self) -> int:
        return -(-len(self._indexes) // self._config.batch_size)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; the order is that of every engine."""
        size = self._config.batch_size
        order = sample_order(self._indexes, self._config.seed, epoch, self._chances, is_shuffled=self._is_shuffled)
        for start in range(first * size, len(order), size):
            yield self._batch(order[start : start + size], epoch)

    def _opened(self, indexes: Sequence[int]) -> list:
        """Let ECVL read the dataset; return its samples."""
        description = self._reader.description
        members = [description.samples[index] for index in indexes]
        paths = [self._reader.path(sample.location[0]) for sample in members]
        is_labelled = self._config.task != SEGMENTATION and all(sample.classes is not None for sample in members)
        labels = [sample.classes or () for sample in members] if is_labelled else []
        with temporary_folder("ecvl") as folder:
            file = folder / "split.yml"
            file.write_text(dataset_text(paths, description.classes, labels), "utf-8")
            with self._named(indexes[0]):
                augmentations = ecvl.DatasetAugmentations([self._augmentation])
                self._reader.decoded(indexes[0])  # ECVL opens the first image, which has to be sound
                dataset = ecvl.DLDataset(str(file), 1, augmentations, COLOURS[self._config.channels])
        return list(dataset.samples_)

    def _batch(self, part: Sequence[tuple[int, int]], epoch: int) -> Batch:
        samples = [self._prepared(index, times, epoch) for index, times in part]
        targets = np.array([target for _, target in samples], dtype=np.int64) if self._has_labels else None
        return Batch(tuple(index for index, _ in part), as_batch([image for image, _ in samples]), targets)

    def _prepared(self, index: int, times: int, epoch: int) -> tuple[np.ndarray, np.ndarray | int | None]:
        seed = int(sample_generator(self._config.seed, epoch, index, times).integers(2**32))
        with self._named(index):
            if self._config.task != SEGMENTATION:
                image, _ = self._augmented(index, seed, None)
                return self._reader.resized(image, None)[0], self._reader.class_target(index)
            mask = self._reader.class_map(index) if self._has_labels else None
            image, moved = self._augmented(index, seed, mask)
            return self._reader.resized(image, moved)

    def _augmented(self, index: int, seed: int, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return an image `(H, W, C)`, and its mask `(H, W)`, moved alike.

        A mask goes through ECVL as a plane for each class: some operations blend what they move, and would make a third
        class of two. Several passes with one seed draw the same.
        """
        if mask is None:
            return _array(self._pass(index, seed)), None
        planes = np.arange(max(2, len(self._config.classes))) == mask[:, :, None]
        image, moved = None, []
        for start in range(0, planes.shape[2], MOST_PLANES):
            part = _image(planes[:, :, start : start + MOST_PLANES].astype(np.uint8) * 255)
            passed = self._pass(index, seed, part)
            image = passed if image is None else image
            moved.append(_array(part))
        return _array(image), np.concatenate(moved, axis=2).argmax(axis=2).astype(np.uint8)

    def _pass(self, index: int, seed: int, planes: ecvl.Image | None = None) -> ecvl.Image:
        image = self._read(index)
        ecvl.AugmentationParam.SetSeed(seed)
        self._augmentation.Apply(*((image,) if planes is None else (image, planes)))
        return image

    def _read(self, index: int) -> ecvl.Image:
        """Let ECVL read an image; the first time it is compared with what the service reads.

        ECVL says nothing of a JPEG that is cut off, of orientations that it leaves out, or of a second page.

        Raises:
            JobFailure: for an image that the service does not read, or otherwise.
        """
        own = None if index in self._compared else self._reader.decoded(index)[0]
        image = self._samples[index].LoadImage(ecvl.ColorType.RGB, False)
        if self._config.channels == 1:  # ECVL cuts off what its weighted sum of the colours has behind the point
            image = _image(cv2.cvtColor(_array(image), cv2.COLOR_RGB2GRAY)[:, :, None], ecvl.ColorType.GRAY)
        if own is not None:
            found = _array(image)
            if found.shape != own.shape or np.abs(found - own.astype(np.float32)).mean() > LARGEST_DIFFERENCE:
                raise JobFailure(
                    f"ECVL reads other pixels of the image {self._location(index)!r} than the service; "
                    "store it as a plain PNG file, or choose the engine Torch."
                )
            self._compared.add(index)
        return image

    def _location(self, index: int) -> str:
        return self._reader.description.samples[index].location[0]

    @contextmanager
    def _named(self, index: int) -> Iterator[None]:
        """Have what ECVL complains of name the image as the dataset's owner does."""
        location = self._location(index)
        try:
            yield
        except (RuntimeError, ValueError) as error:
            reason = str(error).removeprefix("[Error]:").strip().rstrip(".")
            raise JobFailure(
                f"ECVL cannot read the image {location!r}, or apply the {self._split} augmentations to it: {reason}."
            ) from error


def made_augmentation(text: str) -> ecvl.Augmentation:
    """Return ECVL's augmentation of a text that our parser has taken; an empty one changes nothing.

    Raises:
        JobFailure: when ECVL does not read it.
    """
    augmentation = parse(text)
    if augmentation.name == SEQUENTIAL and not augmentation.children:
        return ecvl.SequentialAugmentationContainer([])
    if has_unheeded_chance(augmentation):
        return _built(augmentation)
    return _read(ecvl_text(text))


def _built(augmentation: Augmentation) -> ecvl.Augmentation:
    """Put containers together by hand: read from a text, ECVL overlooks the `p` of `OneOfAugmentationContainer`."""
    if augmentation.name not in (SEQUENTIAL, ONE_OF):
        return _read(ecvl_text(to_text(augmentation)))
    children = [_built(child) for child in augmentation.children]
    if augmentation.name == SEQUENTIAL:
        return ecvl.SequentialAugmentationContainer(children)
    return ecvl.OneOfAugmentationContainer(augmentation.settings()["p"], children)


def _read(text: str) -> ecvl.Augmentation:
    try:
        augmentation = ecvl.AugmentationFactory.create(text)
    except RuntimeError as error:
        raise JobFailure(f"ECVL does not read the augmentations: {error}") from error
    if augmentation is None:
        raise JobFailure(f"ECVL knows no augmentation {text.split()[0]!r}; leave it out, or choose the engine Torch.")
    return augmentation


def _array(image: ecvl.Image) -> np.ndarray:
    """Return a copy of an image as `(H, W, C)`; ECVL counts x first."""
    return np.ascontiguousarray(np.asarray(image).transpose(1, 0, 2))


def _image(planes: np.ndarray, colours: ecvl.ColorType = ecvl.ColorType.none) -> ecvl.Image:
    """Make an image of planes `(H, W, C)`; ECVL takes the memory as it is, x running fastest and C slowest."""
    return ecvl.Image.fromarray(np.asfortranarray(planes.transpose(1, 0, 2)), "xyc", colours)
