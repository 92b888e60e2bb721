"""Where everything lies in the storage folder. The only place that knows the names of files in a run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.files import unavailable

PROCESS_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PRETRAINED_SUFFIXES = (".pth", ".pt", ".onnx")


def unfinished_folder(root: Path) -> Path:
    """Return the folder, in a storage folder, of the marks of unfinished processes."""
    return root / "unfinished"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one process: its frozen config, its state, its log and what it gives out."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def progress_lines(self) -> Path:
        return self.path / "progress.txt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def stop_request(self) -> Path:
        return self.path / "stop_requested"

    @property
    def alive(self) -> Path:
        return self.path / "alive.lock"

    @property
    def unfinished_mark(self) -> Path:
        """An empty file that is there until the process has ended: what is unfinished is found without a search."""
        return unfinished_folder(self.path.parent.parent) / self.path.name

    @property
    def inputs(self) -> Path:
        return self.path / "inputs"

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def predictions(self) -> Path:
        return self.outputs / "predictions.jsonl"


@dataclass(frozen=True)
class WeightsFolder:
    """The folder of one training's weights, with the log and the metrics of that training beside them."""

    path: Path

    @property
    def best(self) -> Path:
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        return self.path / "last.pt"

    @property
    def card(self) -> Path:
        return self.path / "weights.json"

    @property
    def graph(self) -> Path:
        return self.path / "graph.onnx"

    @property
    def onnx(self) -> Path:
        return self.path / "model.onnx"

    @property
    def export(self) -> Path:
        return self.path / "export.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def own_graph(self) -> Path | None:
        """Return the uploaded network that the weights are of; None where they are of the zoo's."""
        return self.graph if self.graph.is_file() else None

    def has_weights(self) -> bool:
        """Tell whether a training has saved weights that can be used; the card is written last."""
        return self.card.is_file()


@dataclass(frozen=True)
class StorageLayout:
    """The storage folder."""

    root: Path

    @property
    def records(self) -> Path:
        return self.root / "db"

    @property
    def audit_log(self) -> Path:
        return self.root / "audit.log"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def unfinished(self) -> Path:
        return unfinished_folder(self.root)

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def reserve(self) -> Path:
        """A file that takes up the room which deleting something on a full disk needs."""
        return self.root / ".reserve"

    @property
    def going(self) -> Path:
        """Notes of records and folders that are about to go, or to come."""
        return self.root / ".going"

    @property
    def dataset_drafts(self) -> Path:
        """Where datasets are put together: on the disk of the others, and apart, for there may be many of those."""
        return self.datasets / ".drafts"

    @property
    def weights_drafts(self) -> Path:
        """Where uploaded weights are put together."""
        return self.all_weights / ".drafts"

    def dataset(self, dataset_id: int) -> Path:
        """Return the folder of the service's own copy of a description."""
        return self.datasets / str(dataset_id)

    def description(self, dataset_id: int) -> Path:
        """Return the service's own copy of a description."""
        return self.dataset(dataset_id) / "dataset.yml"

    def report(self, dataset_id: int) -> Path:
        """Return the newest report on a dataset."""
        return self.dataset(dataset_id) / "report.json"

    def thumbnail(self, dataset_id: int, index: int, *, has_mask: bool) -> Path:
        """Return the small picture of a sample."""
        return self.dataset(dataset_id) / "thumbnails" / f"{index}{'-mask' * has_mask}.png"

    def mask_values(self, dataset_id: int, index: int) -> Path:
        """Return the values of a small picture of a mask, of the kinds that the web process does not decode."""
        return self.dataset(dataset_id) / "thumbnails" / f"{index}-values.png"

    @property
    def all_weights(self) -> Path:
        return self.root / "weights"

    def pretrained(self, architecture: str) -> Path | None:
        """Return the file of weights that somebody placed here for an architecture; None if there is none."""
        places = [self.all_weights / "pretrained" / f"{architecture}{suffix}" for suffix in PRETRAINED_SUFFIXES]
        return next((place for place in places if place.is_file()), None)

    def weights(self, weights_id: int) -> WeightsFolder:
        """Return the folder of these weights."""
        return WeightsFolder(self.all_weights / str(weights_id))

    def run(self, process_id: str) -> RunFolder | None:
        """Return the folder of a process, or None where the text is no process id of ours."""
        if not PROCESS_ID.fullmatch(process_id):
            return None
        return RunFolder(self.runs / process_id)

    def log(self, run: RunFolder, config: Mapping) -> Path:
        """Return the log of a process with this config: that of a training lies beside its weights."""
        return self.weights(config["weights_id"]).log if config["type"] == "training" else run.log

    def create(self) -> None:
        """Make the folders; those that exist are left alone.

        Raises:
            StorageUnavailable: naming the one that cannot be made.
        """
        drafts = (self.dataset_drafts, self.weights_drafts)
        for folder in (self.records, self.runs, self.unfinished, self.going, *drafts):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unavailable(folder, "made", error) from error
