"""A network in PyTorch, on one device."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: two seconds of every job, unless the worker has done it before
from onnx import ModelProto
from torch import Tensor, nn

from app.engines import onnx_files
from app.engines.torch_engine import architectures, onnx_export, onnx_graph, onnx_head, pretrained
from app.engines.torch_engine.devices import half_precision
from app.engines.torch_engine.losses import LOSSES, MULTI_LABEL_LOSSES, activate, one_hot
from app.engines.torch_engine.onnx_import import GraphModule
from app.engines.torch_engine.optimisation import Optimisation
from app.errors import JobFailure
from app.files import replacing, write_atomically
from app.training.config import TrainingConfig
from app.training.engine import BatchResult

# What torch, the C++ library and the GPU's libraries say, each in its own way.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "bad allocation",
    "ALLOC_FAILED",
    "out of memory",
    "could not create a primitive",  # oneDNN gives no reason; that it finds no room is the usual one
    "could not execute a primitive",
)


class TorchNetwork:
    """A `torch.nn.Module` with its loss and optimizer; see `app.training.engine.Network` for the arrays."""

    def __init__(
        self,
        module: nn.Module,
        config: TrainingConfig,
        device: torch.device,
        graph: ModelProto | None = None,
        *,
        is_shared: bool = False,
    ):
        """Take a module; with `is_shared` it computes a part of every batch, others the rest (`SharedNetwork`)."""
        self._config = config
        self._graph = graph
        self._device = device
        self._memory_format = _memory_format(module)
        self._module = module.to(self._device, memory_format=self._memory_format)
        self._is_multi_label = config.is_multi_label
        self._loss = (MULTI_LABEL_LOSSES if config.is_multi_label else LOSSES)[config.loss]
        self._outputs = config.output_channels
        self._class_weights = torch.tensor(config.loss_weights, device=self._device)
        self._part_count = config.batch_parts
        self._half_precision = half_precision(config, self._device)
        self._optimisation = Optimisation(module, config, self._device, self._half_precision, is_shared=is_shared)
        self.parameter_count = sum(parameter.numel() for parameter in module.parameters())

    def set_learning_rate(self, rate: float) -> None:
        """Take the rate of the next step."""
        self._optimisation.set_learning_rate(rate)

    def freeze_encoder(self, *, is_frozen: bool) -> None:
        """Keep the encoder as it is, or let it learn."""
        self._optimisation.freeze_encoder(is_frozen=is_frozen)

    def train_batch(
        self, images: np.ndarray, targets: np.ndarray, *, share: float = 1.0, is_step: bool = True
    ) -> BatchResult:
        """Add the gradient of a batch, and make an optimizer step."""
        self._optimisation.prepare()
        with memory_errors():
            result = self._by_parts(partial(self._learn, share / len(images)), images, targets)
            if is_step:
                self._optimisation.step()
        return result

    def _learn(self, share: float, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Add the gradient of some samples, `share` being what each of them has in the step."""
        with torch.autocast(self._device.type, self._half_precision, enabled=self._half_precision is not None):
            logits = self._module(self._images(images)).float()
        loss, objective = self._loss_and_objective(logits, self._tensor(targets))
        if not math.isfinite(loss.item()):
            raise JobFailure(
                f"The loss became {loss.item()}: the training diverged; "
                "lower the learning rate, or check the images' value range."
            )
        self._optimisation.add_gradient(objective * (share * len(images)))
        return self._result(logits, loss)

    def _loss_and_objective(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss, and what is minimised: the same, with a weight for each sample's class."""
        wanted = self._wanted(targets)
        if not len(self._class_weights):
            loss = self._loss(logits, wanted)
            return loss, loss
        each = torch.vmap(lambda sample, target: self._loss(sample[None], target[None]))(logits, wanted)
        return each.mean(), (each * self._class_weights[targets]).mean()

    def _by_parts(
        self, compute: Callable[[np.ndarray, np.ndarray], BatchResult], images: np.ndarray, targets: np.ndarray
    ) -> BatchResult:
        """Compute a batch in the parts that fit into memory, and put their results together."""
        results = [compute(images[part], targets[part]) for part in self._parts(images)]
        if len(results) == 1:
            return results[0]
        counts = [len(result.probabilities) for result in results]
        loss = sum(result.loss * count for result, count in zip(results, counts, strict=True)) / len(images)
        return BatchResult(loss, np.concatenate([result.probabilities for result in results]))

    def evaluate_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Compute loss and probabilities without learning."""
        self._module.eval()
        with torch.inference_mode(), memory_errors():
            return self._by_parts(self._evaluate, images, targets)

    def _evaluate(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        logits = self._module(self._images(images))
        return self._result(logits, self._loss(logits, self._wanted(self._tensor(targets))))

    def predict_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch."""
        self._module.eval()
        with torch.inference_mode(), memory_errors():
            parts = [images[part] for part in self._parts(images)]
            return np.concatenate([self._probabilities(self._module(self._images(part))) for part in parts])

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

    def load_pretrained(self, path: Path | None) -> Sequence[str]:
        """Load what others have trained, from a file or by MONAI's own loader."""
        architecture = self._config.architecture
        stored = pretrained.from_library(architecture) if path is None else pretrained.read(path, _load)
        return pretrained.load(self._module, architecture, stored)

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as an ONNX file, whole or not at all."""
        self._module.eval()
        model = onnx_export.export(self._module, self._graph, self._config)
        onnx_files.describe(model, metadata)
        write_atomically(path, model.SerializeToString())

    def random_state(self) -> dict[str, Tensor | None]:
        """Return what the next random numbers depend on."""
        on_gpu = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        return {"random_state": torch.get_rng_state(), "gpu_random_state": on_gpu}

    def save_checkpoint(self, path: Path, position: dict, other_states: Sequence[dict] = ()) -> None:
        """Write what an exact resume needs, whole or not at all; `other_states` are those of the processes beside."""
        content = {
            "weights": self._module.state_dict(),
            "optimisation": self._optimisation.state(),
            **self.random_state(),
            "other_random_states": list(other_states),
            "position": position,
        }
        _save(content, path)

    def load_checkpoint(self, path: Path, process: int = 0) -> dict:
        """Restore what `save_checkpoint` wrote and return the position; `process` is the number of this one."""
        content = _load(path)
        try:
            self._restore(content, process)
        except (KeyError, ValueError, RuntimeError) as error:
            raise JobFailure(f"{path.name} is no checkpoint of this network: {error}") from error
        return content["position"]

    def _restore(self, content: dict, process: int) -> None:
        self._module.load_state_dict(content["weights"])
        self._optimisation.restore(content["optimisation"])
        states = [content, *content.get("other_random_states", [])]
        if process >= len(states):
            return  # the training goes on in more processes than it began in
        torch.set_rng_state(states[process]["random_state"])
        if states[process]["gpu_random_state"] is not None and self._device.type == "cuda":
            torch.cuda.set_rng_state(states[process]["gpu_random_state"], self._device)

    def _parts(self, images: np.ndarray) -> list[slice]:
        size = -(-len(images) // self._part_count)
        return [slice(start, start + size) for start in range(0, len(images), size)]

    def _wanted(self, targets: Tensor) -> Tensor:
        """Turn targets into what the losses compare with, of the logits' shape."""
        return targets.float() if self._is_multi_label else one_hot(targets, self._outputs)

    def _images(self, images: np.ndarray) -> Tensor:
        """Take images in the network's own order of numbers; a convolution keeps to that of what it is given."""
        return self._tensor(images).contiguous(memory_format=self._memory_format)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _result(self, logits: Tensor, loss: Tensor) -> BatchResult:
        return BatchResult(loss.item(), self._probabilities(logits.detach()))

    def _probabilities(self, logits: Tensor) -> np.ndarray:
        return activate(logits, is_multi_label=self._is_multi_label).float().cpu().numpy()


def build_network(
    config: TrainingConfig, graph: Path | None, device: torch.device, *, is_shared: bool = False
) -> TorchNetwork:
    """Build a network on a device; the same seed gives the same weights.

    Args:
        config: of the training.
        graph: the ONNX file of an uploaded network; without one the config names an architecture.
        device: computes it.
        is_shared: whether this is one of several processes that have met by torch.distributed.
    """
    # cuBLAS is deterministic only with a fixed workspace; it reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else every new array is first filled with NaN, for those who read what nobody has written: a quarter of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(config.seed)
    with memory_errors():
        if graph is None:
            return TorchNetwork(architectures.build(config), config, device, is_shared=is_shared)
        model = onnx_graph.read_model(graph)
        onnx_head.fit_head(model, config.output_channels)
        module = GraphModule(model)
        module.keep_learning(onnx_head.head_weights(model))
        return TorchNetwork(module, config, device, model, is_shared=is_shared)


def _memory_format(module: nn.Module) -> torch.memory_format:
    """Choose the order of a network's numbers in memory; the numbers are the same in both.

    Convolutions are faster with the channels of a pixel side by side, as batches come; instance normalisation is slower
    by more than they gain (docs/performance.md has the measurements).
    """
    is_slowed = any(isinstance(layer, nn.InstanceNorm2d) for layer in module.modules())
    return torch.contiguous_format if is_slowed else torch.channels_last


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError for what torch says in a RuntimeError: that the CPU's or the GPU's memory is used up."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
            raise MemoryError(str(error)) from error
        raise


def _save(content: dict, path: Path) -> None:
    with replacing(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # Where the disk or the memory is full, torch complains of its own half-written archive instead.
            raise (error.__context__ if isinstance(error.__context__, OSError | MemoryError) else error) from None


def _load(path: Path) -> dict:
    """Read one of our files; `weights_only` keeps torch from running anything that a foreign file may hold."""
    try:
        _check_whole(path)
        with memory_errors():
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # torch's own text is a page, and advises to run what is in the file
        raise JobFailure(
            f"{path.name} cannot be read as PyTorch weights: it is no file of torch.save, or holds other things than "
            "weights, which are never run; save the network's state_dict()."
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, BadZipFile) as error:
        raise JobFailure(f"{path.name} cannot be read as PyTorch weights: {error}") from error


def _check_whole(path: Path) -> None:
    """Compare the checksums that torch wrote; its own reader looks at none of them."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} in it is damaged")
