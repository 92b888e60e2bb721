"""Inference over a split: one row for every image, in the dataset's order, and the metrics where there are labels."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from app.datasets.description import Description, Sample
from app.datasets.images import write_mask
from app.errors import StorageUnavailable
from app.metrics.classification import summarise_classification
from app.metrics.multi_label import summarise_multi_label
from app.metrics.segmentation import decide, foreground_names, region_scores, summarise_segmentation
from app.runs.layout import RunFolder
from app.runs.writer import append_row
from app.training.config import TrainingConfig
from app.training.engine import Network
from app.training.loading import Batches, SampleReader
from app.training.loop import clock
from app.zoo.architectures import SEGMENTATION

Progress = Callable[[str, float, float | None], None]
Keep = Callable[[Callable[[], None]], None]


def predict(
    network: Network,
    reader: SampleReader,
    loader: Batches,
    config: TrainingConfig,
    run: RunFolder,
    progress: Progress,
    should_stop: Callable[[], bool],
    keep: Keep,
) -> tuple[int, dict | None]:
    """Write a row of `predictions.jsonl` for each sample.

    Args:
        network: whose predictions they are.
        reader: of the dataset; masks are written at the size of its images.
        loader: of the samples, without labels.
        config: that the weights were trained with.
        run: takes the rows.
        progress: takes a line, what part is done, and the seconds left.
        should_stop: asked at every batch.
        keep: carries out what writes a row, and raises StorageUnavailable only if that fails and a stop is asked for.

    Returns:
        The number of rows written (fewer than the samples only if stopped), and the metrics of a labelled, complete
        split, else None.
    """
    write_rows = _MaskRows if config.task == SEGMENTATION else _ScoreRows
    rows = write_rows(reader, reader.description, config, run)
    done, began = 0, time.monotonic()
    for number, batch in enumerate(loader.batches(epoch=0), start=1):
        if should_stop():
            return done, None
        for index, probabilities in zip(batch.indexes, network.predict_batch(batch.images), strict=True):
            try:
                keep(partial(rows.add, index, probabilities))
            except StorageUnavailable:
                return done, None
            done += 1
        elapsed = max(time.monotonic() - began, 1e-9)
        eta_seconds = elapsed * (loader.sample_count - done) / done
        line = (
            f"Inference - batch {number}/{loader.batch_count} - {done / elapsed:.0f} img/s - ETA {clock(eta_seconds)}"
        )
        progress(line, done / loader.sample_count, eta_seconds)
    return done, rows.metrics()


def shown_location(sample: Sample) -> str:
    """Return a sample's location as the dataset file has it; several planes are joined by a comma and a blank."""
    return ", ".join(sample.location)


def class_translation(dataset_classes: Sequence[str], trained_classes: Sequence[str]) -> np.ndarray | None:
    """Return, for each value of the dataset's masks, that of the weights' class of the same name.

    Two lists may name the same classes in another order. None if the weights do not know one of the dataset's classes;
    a dataset and weights of one class at most are about the same foreground, whatever it is called.
    """
    if len(dataset_classes) <= 1 and len(trained_classes) <= 1:
        return np.arange(2, dtype=np.uint8)
    wanted, known = _names_by_value(dataset_classes), _names_by_value(trained_classes)
    if len(dataset_classes) <= 1 or len(trained_classes) <= 1:
        wanted[0] = known[0] = "background"  # in one of the lists it has no name
    if not set(wanted) <= set(known):
        return None
    return np.array([known.index(name) for name in wanted], dtype=np.uint8)


def _names_by_value(classes: Sequence[str]) -> list[str]:
    """Return what each value of a mask stands for; the first is the background, which a single class leaves unsaid."""
    return list(classes) if len(classes) > 1 else ["", *classes]


class _ScoreRows:
    """Rows of class probabilities."""

    def __init__(self, reader: SampleReader, description: Description, config: TrainingConfig, run: RunFolder):
        self._description = description
        self._classes = config.classes
        self._is_multi_label = config.is_multi_label
        self._path = run.predictions
        self._probabilities: list[np.ndarray] = []
        self._targets: list[int | list[int] | None] = []

    def add(self, index: int, probabilities: np.ndarray) -> None:
        """Write one row of probabilities `(K,)`, and the index of the true class, or of each, where it is known."""
        sample = self._description.samples[index]
        target = self._target(sample)
        row = {"image": shown_location(sample), "scores": [float(value) for value in probabilities]}
        append_row(self._path, row if target is None else row | {"target": target})
        self._probabilities.append(probabilities)
        self._targets.append(target)

    def _target(self, sample: Sample) -> int | list[int] | None:
        """Return the weights' class of the same name as the dataset's: the two may list them in other orders.

        With multi-label weights, return each such class; where one of the two does not know a class of the other's,
        nothing says whether an image has it.
        """
        own, known = self._description.classes, self._classes
        if sample.classes is None:
            return None
        if self._is_multi_label:
            return sorted(known.index(own[index]) for index in sample.classes) if set(own) == set(known) else None
        if len(sample.classes) != 1:
            return None
        name = own[sample.classes[0]]
        return known.index(name) if name in known else None

    def metrics(self) -> dict | None:
        """Return the metrics if every sample has a label among the weights' classes."""
        if not self._targets or None in self._targets:
            return None
        probabilities = np.stack(self._probabilities)
        if not self._is_multi_label:
            return summarise_classification(probabilities, np.array(self._targets), self._classes)
        present = np.zeros(probabilities.shape, dtype=bool)
        for row, target in zip(present, self._targets, strict=True):
            row[target] = True
        return summarise_multi_label(probabilities, present, self._classes)


class _MaskRows:
    """Mask files at the size of the source image, and a row naming each."""

    def __init__(self, reader: SampleReader, description: Description, config: TrainingConfig, run: RunFolder):
        self._reader = reader
        self._description = description
        self._classes = config.classes
        self._translation = class_translation(description.classes, config.classes)
        self._run = run
        self._scores: list[dict[str, list[float | None]] | None] = []

    def add(self, index: int, probabilities: np.ndarray) -> None:
        """Write the mask of one image from probabilities `(K, H, W)` at the input's size."""
        image, target = self._reader.decoded(index)
        height, width = image.shape[:2]
        resized = np.stack(
            [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in probabilities]
        )
        class_map = decide(resized)
        name = f"{len(self._scores):06d}.png"
        write_mask(self._run.outputs / name, class_map, len(self._classes))
        row: dict = {"image": shown_location(self._description.samples[index]), "mask": name}
        scores = None
        if target is not None and self._translation is not None:
            scores = region_scores(class_map, self._translation[target], max(2, len(self._classes)))
            names = foreground_names(self._classes)
            row["scores"] = {score: dict(zip(names, values, strict=True)) for score, values in scores.items()}
        append_row(self._run.predictions, row)  # may fail and be tried again: only then is the image counted
        self._scores.append(scores)

    def metrics(self) -> dict | None:
        """Return the metrics if every image has a mask."""
        scores = [row for row in self._scores if row is not None]
        if not scores or len(scores) < len(self._scores):
            return None
        return summarise_segmentation(scores, self._classes)
