"""PyTorch behind the engine contract."""

import math
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import monai
import numpy as np
import onnx
import torch
import torch._dynamo  # the first optimizer imports it: two seconds of every job, unless the worker has done it before
from onnx import ModelProto
from torch import Tensor, nn

from app.engines.torch_engine import architectures, onnx_export, onnx_graph, onnx_head
from app.engines.torch_engine.losses import LOSSES, MULTI_LABEL_LOSSES, activate, one_hot
from app.engines.torch_engine.onnx_import import GraphModule
from app.errors import JobFailure
from app.files import write_atomically
from app.training.config import TrainingConfig
from app.training.engine import BatchResult

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class TorchNetwork:
    """A `torch.nn.Module` with its loss and optimizer; see `app.training.engine.Network` for the arrays."""

    def __init__(
        self, module: nn.Module, config: TrainingConfig, device: torch.device, graph: ModelProto | None = None
    ):
        self._module = module.to(device)
        self._config = config
        self._graph = graph
        self._device = device
        self._is_multi_label = config.is_multi_label
        self._loss = (MULTI_LABEL_LOSSES if config.is_multi_label else LOSSES)[config.loss]
        self._outputs = config.output_channels
        self._optimizer = OPTIMIZERS[config.optimizer](
            module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.parameter_count = sum(parameter.numel() for parameter in module.parameters())

    def train_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Make one optimizer step."""
        with memory_errors():
            return self._step(images, targets)

    def _step(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        self._module.train()
        logits, loss = self._forward(images, targets)
        if not math.isfinite(loss.item()):
            raise JobFailure(
                f"The loss became {loss.item()}: the training diverged; "
                "lower the learning rate, or check the images' value range."
            )
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return self._result(logits, loss)

    def evaluate_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Compute loss and probabilities without learning."""
        self._module.eval()
        with torch.inference_mode(), memory_errors():
            logits, loss = self._forward(images, targets)
            return self._result(logits, loss)

    def predict_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch."""
        self._module.eval()
        with torch.inference_mode(), memory_errors():
            return self._probabilities(self._module(self._tensor(images)))

    def save_weights(self, path: Path) -> None:
        """Write the parameters, whole or not at all."""
        _save({"weights": self._module.state_dict()}, path)

    def load_weights(self, path: Path) -> Sequence[str]:
        """Load the parameters that fit by name and shape; return the names of the others."""
        stored = _load(path)["weights"]
        own = self._module.state_dict()
        fitting = {name: value for name, value in stored.items() if name in own and own[name].shape == value.shape}
        self._module.load_state_dict(own | fitting)
        return sorted(own.keys() - fitting.keys())

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as an ONNX file, whole or not at all."""
        self._module.eval()
        model = onnx_export.export(self._module, self._graph, self._config)
        onnx_export.describe(model, metadata)
        write_atomically(path, model.SerializeToString())

    def save_checkpoint(self, path: Path, position: dict) -> None:
        """Write what an exact resume needs, whole or not at all."""
        content = {
            "weights": self._module.state_dict(),
            "gradients": [parameter.grad for parameter in self._module.parameters()],
            "optimizer": self._optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
            "gpu_random_state": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
            "position": position,
        }
        _save(content, path)

    def load_checkpoint(self, path: Path) -> dict:
        """Restore what `save_checkpoint` wrote and return the position."""
        content = _load(path)
        try:
            self._restore(content)
        except (KeyError, ValueError, RuntimeError) as error:
            raise JobFailure(f"{path.name} is no checkpoint of this network: {error}") from error
        return content["position"]

    def _restore(self, content: dict) -> None:
        self._module.load_state_dict(content["weights"])
        for parameter, gradient in zip(self._module.parameters(), content["gradients"], strict=True):
            parameter.grad = gradient if gradient is None else gradient.to(parameter)
        self._optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random_state"])
        if content["gpu_random_state"] is not None and self._device.type == "cuda":
            torch.cuda.set_rng_state(content["gpu_random_state"], self._device)

    def _forward(self, images: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        logits = self._module(self._tensor(images))
        wanted = self._tensor(targets)
        return logits, self._loss(logits, wanted.float() if self._is_multi_label else one_hot(wanted, self._outputs))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _result(self, logits: Tensor, loss: Tensor) -> BatchResult:
        return BatchResult(loss.item(), self._probabilities(logits.detach()))

    def _probabilities(self, logits: Tensor) -> np.ndarray:
        return activate(logits, is_multi_label=self._is_multi_label).float().cpu().numpy()


class TorchEngine:
    """PyTorch on the CPU, or on the first GPU where there is one."""

    name = "torch"

    def versions(self) -> dict[str, str]:
        """Return the versions of torch, MONAI, numpy and onnx."""
        return {
            "torch": torch.__version__,
            "monai": monai.__version__,
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        }

    def build(self, config: TrainingConfig, graph: Path | None = None) -> TorchNetwork:
        """Build the architecture with weights drawn from the config's seed; the same seed gives the same weights."""
        # cuBLAS is deterministic only with a fixed workspace; it reads this when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(config.seed)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if graph is None:
            return TorchNetwork(architectures.build(config), config, device)
        model = onnx_graph.read_model(graph)
        onnx_head.fit_head(model, config.output_channels)
        return TorchNetwork(GraphModule(model), config, device, model)

    def run_onnx(self, path: Path, images: np.ndarray) -> np.ndarray:
        """Return what onnxruntime makes of an exported file."""
        return onnx_export.run(str(path), images)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError for what torch says in a RuntimeError: that the CPU's or the GPU's memory is used up."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise


def _save(content: dict, path: Path) -> None:
    stream = BytesIO()
    torch.save(content, stream)
    write_atomically(path, stream.getvalue())


def _load(path: Path) -> dict:
    """Read one of our files; `weights_only` keeps torch from running anything that a foreign file may hold."""
    try:
        _check_whole(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, BadZipFile, pickle.UnpicklingError) as error:
        raise JobFailure(f"{path.name} cannot be read as PyTorch weights: {error}") from error


def _check_whole(path: Path) -> None:
    """Compare the checksums that torch wrote; its own reader looks at none of them."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} in it is damaged")


ENGINE = TorchEngine()
