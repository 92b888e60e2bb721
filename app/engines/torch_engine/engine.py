"""PyTorch behind the engine contract."""

from collections.abc import Sequence
from pathlib import Path

import monai
import numpy as np
import onnx
import torch

from app.engines import onnx_files
from app.engines.torch_engine import onnx_upload
from app.engines.torch_engine.devices import advise, find_devices
from app.engines.torch_engine.network import TorchNetwork, build_network, memory_errors
from app.engines.torch_engine.shared_network import SharedNetwork
from app.files import write_atomically
from app.training.config import TrainingConfig
from app.training.engine import Imported, Wanted
from app.training.loading import Loader, SampleReader


class TorchEngine:
    """PyTorch on the CPU, or on GPUs where there are some."""

    name = "torch"

    def versions(self) -> dict[str, str]:
        """Return the versions of torch, MONAI, numpy and onnx."""
        return {
            "torch": torch.__version__,
            "monai": monai.__version__,
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        }

    def advise(self, config: TrainingConfig) -> Sequence[str]:
        """Return what a person should know of the config's devices and precision on this machine."""
        return advise(config)

    def build(self, config: TrainingConfig, graph: Path | None = None) -> TorchNetwork | SharedNetwork:
        """Build the architecture with weights drawn from the config's seed; the same seed gives the same weights."""
        devices = find_devices(config)
        if len(devices) > 1:
            return SharedNetwork(config, graph, devices)
        return build_network(config, graph, devices[0])

    def loader(
        self,
        reader: SampleReader,
        indexes: Sequence[int],
        config: TrainingConfig,
        split: str,
        *,
        has_labels: bool = True,
        is_shuffled: bool = False,
    ) -> Loader:
        """Read by the service's own decoders, and augment by its own operations."""
        return Loader(reader, indexes, config, split, has_labels=has_labels, is_shuffled=is_shuffled)

    def import_onnx(self, path: Path, wanted: Wanted, graph: Path) -> Imported:
        """Check a foreign ONNX file, and write it in the form that `build` takes."""
        with memory_errors():
            model, imported = onnx_upload.read_upload(path, wanted)
        write_atomically(graph, model.SerializeToString())
        return imported

    def run_onnx(self, path: Path, images: np.ndarray) -> np.ndarray:
        """Return what onnxruntime makes of an exported file."""
        return onnx_files.run(str(path), images)


ENGINE = TorchEngine()
