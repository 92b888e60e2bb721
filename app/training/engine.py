"""The contract between the service and a deep-learning library. No implementation lives here.

An engine builds networks; a network takes and gives numpy arrays, so that loading, the training loop, metrics and
files are the same whatever library computes. `tests/engines/` holds one suite that every installed engine must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app.training.config import TrainingConfig

if TYPE_CHECKING:
    import numpy as np  # the web process loads this module, and needs no arrays

    from app.training.loading import Batches, SampleReader


@dataclass(frozen=True)
class BatchResult:
    """What a network makes of one batch.

    Attributes:
        loss: mean over the samples of the batch.
        probabilities: float32. Classification `(N, classes)`, each row summing to 1; if multi-label, of each class by
            itself. Segmentation `(N, 1, H, W)` foreground probability for at most one class, else
            `(N, classes, H, W)` summing to 1.
    """

    loss: float
    probabilities: np.ndarray


@dataclass(frozen=True)
class Wanted:
    """What the owner of an ONNX file says of it. What is None is taken from the file.

    Attributes:
        task: what the network is for.
        classes: their names in the network's order.
        channels: depth of the images.
        input_height: in pixels.
        input_width: in pixels.
        is_multi_label: whether each class is decided by itself.
        largest_value: what the network expects for white; images have 1.
        mean: what the network expects to be taken off each channel then; one value stands for all.
        std: what it expects each channel to be divided by after that.
        is_blue_first: whether the channels of colours are turned before that.
        layer_to_remove: the last layer, by the name of its node, result or weights.
    """

    task: str
    classes: tuple[str, ...] | None = None
    channels: int | None = None
    input_height: int | None = None
    input_width: int | None = None
    is_multi_label: bool | None = None
    largest_value: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    is_blue_first: bool = False
    layer_to_remove: str | None = None


@dataclass(frozen=True)
class Imported:
    """What became of an ONNX file.

    Attributes:
        config: for an inference with the network.
        notes: a sentence for each thing that was changed or assumed.
        last_layer: what can be replaced for other classes; None if nothing can.
    """

    config: TrainingConfig
    notes: tuple[str, ...]
    last_layer: str | None


class Network(Protocol):
    """A built network.

    Images are float32 `(N, C, H, W)`. Targets are int64: class indexes `(N,)` for classification; if multi-label,
    `(N, classes)` with 1 for each class of a sample; class maps `(N, H, W)` for segmentation (0 and 1 for at most one
    class).
    """

    parameter_count: int

    def set_learning_rate(self, rate: float) -> None:
        """Take the rate of the next step; until the first time it is the config's."""

    def freeze_encoder(self, *, is_frozen: bool) -> None:
        """Keep the layers that make features of images as they are, or let them learn, as they do at first."""

    def train_batch(
        self, images: np.ndarray, targets: np.ndarray, *, share: float = 1.0, is_step: bool = True
    ) -> BatchResult:
        """Add the gradient of the batch's mean loss, times `share`, to those that wait; make a step with their sum.

        Batches whose shares are their parts of all samples of the step give the gradient of one large batch.

        Args:
            images: of the batch.
            targets: of the batch.
            share: the batch's part of the samples of the step, 0 to 1.
            is_step: whether the step is made now, or other batches follow.

        Returns:
            What the weights before the step make of the batch; the loss is the plain mean, whatever the config's
            `loss_weights` make of it in the gradient.

        Raises:
            JobFailure: when the loss is not finite, naming what to change.
            MemoryError: when the batch does not fit into memory; the network is of no use then.
        """

    def evaluate_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Compute loss and probabilities without learning, in full precision, as `predict_batch` does."""

    def predict_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities as in `BatchResult`."""

    def save_weights(self, path: Path) -> None:
        """Write the parameters, whole or not at all."""

    def load_weights(self, path: Path) -> Sequence[str]:
        """Load the parameters that fit and return the names of those that do not.

        Raises:
            JobFailure: when the file cannot be read as this engine's weights.
        """

    def load_pretrained(self, path: Path | None) -> Sequence[str]:
        """Load what others have trained for the architecture; return the names of the parameters that are not in it.

        Args:
            path: a file; None downloads what the engine's library offers.

        Raises:
            JobFailure: when that cannot be read or downloaded, or is of another architecture.
        """

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as an ONNX file from images to probabilities, with this metadata; whole or not at all."""

    def save_checkpoint(self, path: Path, position: dict) -> None:
        """Write what an exact resume needs, whole or not at all.

        That is: parameters, gradients that wait for a step, optimizer and random states, and `position`.
        """

    def load_checkpoint(self, path: Path) -> dict:
        """Restore what `save_checkpoint` wrote and return its `position`.

        Raises:
            JobFailure: when the file is damaged, or is of another network.
        """


class Engine(Protocol):
    """A deep-learning library."""

    name: str

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that decide the numbers, by package name."""

    def advise(self, config: TrainingConfig) -> Sequence[str]:
        """Return what a person should know of the config's devices and precision on this machine.

        Raises:
            JobFailure: when the devices that the config wants are not there.
        """

    def build(self, config: TrainingConfig, graph: Path | None = None) -> Network:
        """Build the config's architecture with weights drawn from its seed.

        Args:
            config: of the training.
            graph: the ONNX file of an uploaded network, in the form of the service; its last layer is drawn anew where
                the config has another number of classes.

        Raises:
            JobFailure: when the graph cannot be computed, or has no last layer that can be replaced.
        """

    def loader(
        self,
        reader: SampleReader,
        indexes: Sequence[int],
        config: TrainingConfig,
        split: str,
        *,
        has_labels: bool = True,
        is_shuffled: bool = False,
    ) -> Batches:
        """Make what reads the batches of a split, and augments them by the config's text for it.

        The same text without chance in it gives the same images in every engine.

        Args:
            reader: of the dataset.
            indexes: of the split's samples, in their order.
            config: of the training.
            split: `training`, `validation` or `test`.
            has_labels: whether every sample has a label, and it is wanted.
            is_shuffled: whether each epoch has an order of its own, drawn from the seed.
        """

    def import_onnx(self, path: Path, wanted: Wanted, graph: Path) -> Imported:
        """Check a foreign ONNX file, and write it as `build` takes it.

        Raises:
            JobFailure: one sentence why the file cannot be used.
            InvalidInput: naming what of `wanted` does not fit the file.
        """

    def run_onnx(self, path: Path, images: np.ndarray) -> np.ndarray:
        """Return what another program than this engine, onnxruntime, makes of an exported file."""
