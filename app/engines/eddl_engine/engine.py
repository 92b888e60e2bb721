"""EDDL and ECVL behind the engine contract."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnx
from pyeddl import eddl

from app.engines import onnx_files
from app.engines.eddl_engine.architectures import BUILDERS
from app.engines.eddl_engine.limits import faults
from app.engines.eddl_engine.loading import EcvlLoader
from app.engines.eddl_engine.network import EddlNetwork
from app.engines.eddl_engine.onnx_folding import folded
from app.engines.eddl_engine.onnx_import import activation, check_operators, noise, read_net
from app.engines.eddl_engine.parameters import draw
from app.errors import JobFailure
from app.files import write_atomically
from app.temporary import temporary_folder
from app.training.config import TrainingConfig
from app.training.engine import Imported, Wanted
from app.training.loading import SampleReader
from app.zoo.architectures import CLASSIFICATION

PACKAGES = ("pyeddl", "pyecvl", "numpy", "onnx")
LARGEST_DIFFERENCE = 1e-4  # of two probabilities


class EddlEngine:
    """EDDL on the processor; ECVL reads the images."""

    name = "eddl"

    def versions(self) -> dict[str, str]:
        """Return the versions of pyeddl, pyecvl, numpy and onnx."""
        return {package: _version(package) for package in PACKAGES}

    def advise(self, config: TrainingConfig) -> Sequence[str]:
        """Return nothing: what EDDL cannot do is refused."""
        found = faults(config)
        if found:
            raise JobFailure(next(iter(found.values())))
        return []

    def build(self, config: TrainingConfig, graph: Path | None = None) -> EddlNetwork:
        """Build the architecture with weights drawn from the config's seed; the same seed gives the same weights."""
        if graph is not None:
            net, drawn = read_net(graph, config)
            network = EddlNetwork(net, config, is_new=False)
            if drawn:
                draw(net, np.random.default_rng(config.seed), drawn)
            return network
        if config.architecture not in BUILDERS:
            raise JobFailure(f"EDDL does not build {config.architecture}; choose the engine Torch.")
        images = eddl.Input([config.channels, config.input_height, config.input_width], name="images")
        logits = BUILDERS[config.architecture](images, config.output_channels)
        net = eddl.Model([images], [activation(logits, config)])
        network = EddlNetwork(net, config)
        draw(net, np.random.default_rng(config.seed))
        return network

    def loader(
        self,
        reader: SampleReader,
        indexes: Sequence[int],
        config: TrainingConfig,
        split: str,
        *,
        has_labels: bool = True,
        is_shuffled: bool = False,
    ) -> EcvlLoader:
        """Read and augment by ECVL."""
        return EcvlLoader(reader, indexes, config, split, has_labels=has_labels, is_shuffled=is_shuffled)

    def import_onnx(self, path: Path, wanted: Wanted, graph: Path) -> Imported:
        """Take a file of the service from another engine: it gives probabilities of 0..1 images as they are."""
        config = _config(wanted)
        images = noise(config)
        model = folded(onnx.load(path))
        check_operators(model)
        with temporary_folder("eddl") as folder:
            tried = folder / "tried.onnx"
            tried.write_bytes(model.SerializeToString())
            network = self.build(config, tried)
        difference = float(np.abs(network.predict_batch(images) - self.run_onnx(path, images)).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise JobFailure(
                f"EDDL computes other numbers with this network than onnxruntime: they differ by {difference:.1e}; "
                "choose the engine Torch."
            )
        _try_learning(network, config, images)
        write_atomically(graph, model.SerializeToString())
        return Imported(config, (), None)

    def run_onnx(self, path: Path, images: np.ndarray) -> np.ndarray:
        """Return what onnxruntime makes of an exported file."""
        return onnx_files.run(str(path), images)


def _try_learning(network: EddlNetwork, config: TrainingConfig, images: np.ndarray) -> None:
    """Refuse a network that EDDL computes and cannot train: some of its layers give no sound gradients in some places.

    Raises:
        JobFailure: saying so.
    """
    shape = images.shape[:1] if config.task == CLASSIFICATION else (len(images), *images.shape[2:])
    targets = np.zeros((len(images), len(config.classes)) if config.is_multi_label else shape, np.int64)
    network.set_learning_rate(0.0)
    try:
        for _ in range(2):
            network.train_batch(images, targets)
    except JobFailure as error:
        raise JobFailure("EDDL's gradients of this network are no numbers; choose the engine Torch.") from error


def _config(wanted: Wanted) -> TrainingConfig:
    """Return the config of an inference with a network of which all is known."""
    if not (wanted.classes and wanted.channels and wanted.input_height and wanted.input_width):
        raise JobFailure("The EDDL engine takes the service's own ONNX files only; upload others, and train those.")
    is_multi_label = bool(wanted.is_multi_label)
    return TrainingConfig(
        task=wanted.task, architecture=f"onnx_{wanted.task}", classes=wanted.classes, channels=wanted.channels,
        learning_rate=1e-4, loss="binary_cross_entropy" if is_multi_label else "cross_entropy",
        metric="categorical_accuracy", epochs=1, batch_size=1, input_height=wanted.input_height,
        input_width=wanted.input_width, optimizer="adam", weight_decay=0.0, seed=0, engine="eddl",
        is_multi_label=is_multi_label,
    )  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


ENGINE = EddlEngine()
