"""What there is to know of a dataset before anything is trained on it. For workers, as it decodes every image."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice

from app.datasets.checks import SEGMENTATION
from app.datasets.description import Description
from app.datasets.report.findings import (
    ERROR,
    WARNING,
    Duplicates,
    Findings,
    find_absent_classes,
    find_class_faults,
    find_shared_groups,
    find_split_faults,
)
from app.datasets.report.lookalikes import Lookalikes
from app.datasets.report.mask_tally import MaskTally
from app.datasets.report.sample import Measures, SampleGauge
from app.datasets.report.tally import ImageTally, class_balance, split_counts

CHUNK = 16
CHUNKS_AHEAD = 2
TRAINING = "training"

Progress = Callable[[int, int], object]


class DatasetReport:
    """Looks at every sample once, as many at a time as there are cores, and adds up what it sees."""

    def __init__(
        self,
        description: Description,
        task_name: str,
        gauge: SampleGauge,
        group_by: str | None = None,
        indexes: Sequence[int] | None = None,
    ):
        """Take the dataset, what measures its samples, and the positions of those to look at; by default all."""
        self._description = description
        self._indexes = range(len(description.samples)) if indexes is None else indexes
        self._task_name = task_name
        self._gauge = gauge
        self._group_by = group_by
        self._split_of = {index: name for name, indexes in description.splits.items() for index in indexes}
        self._findings = Findings()
        self._images = ImageTally()
        self._masks = MaskTally(description.classes)
        self._duplicates = Duplicates(description, self._split_of)
        self._lookalikes = Lookalikes(description, self._split_of)

    def make(
        self, progress: Progress = lambda done, total: None, should_stop: Callable[[], bool] = lambda: False
    ) -> dict | None:
        """Return the report as JSON knows it, or None when it was stopped.

        Raises:
            InvalidInput: for a `group_by` that is no feature of the dataset.
        """
        began = time.monotonic()
        group_feature = find_shared_groups(self._description, self._split_of, self._group_by, self._findings)
        find_split_faults(self._description, self._task_name, self._findings)
        for remark in self._description.remarks:
            self._findings.add(WARNING, "values", str(remark))
        total = len(self._indexes)
        for done, measures in enumerate(measured(self._gauge, self._description, self._indexes, should_stop), 1):
            self._add(measures)
            progress(done, total)
        if should_stop():
            return None
        seconds = time.monotonic() - began
        return self._whole(group_feature) | {
            "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "images_per_second": round(total / max(seconds, 1e-9), 1),
        }

    def _add(self, measures: Measures) -> None:
        split = self._split_of.get(measures.index)
        # An image that is in no split harms nothing; but where there are no splits, an inference covers it.
        severity = ERROR if split is not None or not self._description.splits else WARNING
        for fault in measures.faults:
            self._findings.add(severity, fault.kind, fault.message, file=fault.file, split=split)
        self._images.add(measures, is_training=split == TRAINING)
        self._masks.add(measures, split)
        self._duplicates.look(measures, self._findings)
        self._lookalikes.look(measures)

    def _whole(self, group_feature: str | None) -> dict:
        description = self._description
        balance = class_balance(description)
        find_class_faults(description, balance, self._findings)
        self._lookalikes.find(self._findings)
        rule = self._masks.find(self._findings)
        masks, splits = self._masks.masks(rule), split_counts(description)
        if masks:
            for name in splits:
                splits[name]["classes"] = self._masks.masks_showing(name, rule)
            if rule and description.split(TRAINING):
                find_absent_classes(splits[TRAINING]["classes"], self._findings)
        return {
            "task": self._task_name,
            "classes": list(description.classes),
            "sample_count": len(description.samples),
            "checked_count": len(self._indexes),
            "unsplit_count": len(description.samples) - len(self._split_of),
            "splits": splits,
            "images": self._images.images(),
            "training_statistics": self._images.training_statistics(),
            "class_balance": balance,
            "masks": masks,
            "group_feature": group_feature,
            "problem_counts": self._findings.counts(),
            "problems": self._findings.problems(),
        }


def reads_masks(task_name: str) -> bool:
    """Tell whether a report looks at masks."""
    return task_name.casefold() == SEGMENTATION


def measured(
    gauge: SampleGauge, description: Description, indexes: Sequence[int], should_stop: Callable[[], bool]
) -> Iterator[Measures]:
    """Yield the measures of these samples in order; only a few are in memory at a time.

    Threads suffice: decoding and adding up release Python's lock.
    """

    def measure(chunk: Sequence[int]) -> list[Measures]:
        return [gauge.measure(index, description.samples[index]) for index in chunk if not should_stop()]

    chunks = (indexes[start : start + CHUNK] for start in range(0, len(indexes), CHUNK))
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(threads, thread_name_prefix="check") as executor:
        waiting = [executor.submit(measure, chunk) for chunk in islice(chunks, threads * CHUNKS_AHEAD)]
        while waiting:
            yield from waiting.pop(0).result()
            waiting.extend(executor.submit(measure, chunk) for chunk in islice(chunks, 1) if not should_stop())
