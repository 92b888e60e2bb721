"""A network in EDDL, on the processor."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pyeddl import eddl
from pyeddl._core import Net
from pyeddl.tensor import Tensor

from app.engines.eddl_engine import onnx_export, parameters
from app.engines.eddl_engine.losses import Objective
from app.errors import JobFailure
from app.training.config import TrainingConfig
from app.training.engine import BatchResult

EVALUATING, TRAINING = 0, 1  # EDDL's modes
DIVERGED = "{what}: the training diverged; lower the learning rate, or check the images' value range."
MOMENTUM = 0.9  # of SGD, as in every engine


class EddlNetwork:
    """A net of EDDL with its loss and optimizer; see `app.training.engine.Network` for the arrays."""

    def __init__(self, net: Net, config: TrainingConfig, *, is_new: bool = True):
        """Take a net whose last layer gives probabilities, and make it learn as the config says.

        One that is not new keeps the parameters that it was read with.
        """
        self._config = config
        self._net = net
        self._objective = Objective(config)
        self._optimizer = _optimizer(config)
        net.build(self._optimizer, [self._objective], [], eddl.CS_CPU(mem="low_mem"), is_new)
        self._has_gradients = False
        self.parameter_count = sum(int(np.prod(gradient.shape)) for layer in net.layers for gradient in layer.gradients)

    def set_learning_rate(self, rate: float) -> None:
        """Take the rate of the next step."""
        self._optimizer.lr = rate

    def freeze_encoder(self, *, is_frozen: bool) -> None:
        """Let everything learn; trainings with frozen layers are refused before they begin."""
        if is_frozen:
            raise JobFailure("Freeze epochs: the EDDL engine freezes no layers; give 0, or choose the engine Torch.")

    def train_batch(
        self, images: np.ndarray, targets: np.ndarray, *, share: float = 1.0, is_step: bool = True
    ) -> BatchResult:
        """Add the gradient of a batch, and make an optimizer step."""
        eddl.set_mode(self._net, TRAINING)
        if not self._has_gradients:
            eddl.zeroGrads(self._net)
        results = [self._learn(images[part], targets[part], share / len(images)) for part in self._parts(images)]
        self._has_gradients = not is_step
        if is_step:
            eddl.update(self._net)
            self._check_finite()
        return _together(results)

    def _learn(self, images: np.ndarray, targets: np.ndarray, share: float) -> BatchResult:
        """Add the gradient of some samples, `share` being what each of them has in the step."""
        wanted, probabilities = self._wanted(targets), self._forward(images)
        loss = self._objective.mean(wanted, probabilities)
        if not np.isfinite(loss):
            raise JobFailure(DIVERGED.format(what=f"The loss became {loss}"))
        # EDDL takes the mean over the samples that it is given; a weight of a sample's class counts beside its share.
        weights = np.array(self._config.loss_weights, np.float32)[targets] if self._config.loss_weights else 1
        self._objective.shares = np.full(len(images), share * len(images), np.float32) * weights
        eddl.backward(self._net, [Tensor.fromarray(wanted)])
        return BatchResult(loss, probabilities)

    def _check_finite(self) -> None:
        """Look at the parameters: where they are no numbers, EDDL's ReLU makes zeros of it, and the loss stays one.

        Raises:
            JobFailure: telling what to change.
        """
        if not all(np.isfinite(tensor).all() for layer in self._net.layers for tensor in layer.params):
            raise JobFailure(DIVERGED.format(what="Weights became NaN"))

    def evaluate_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Compute loss and probabilities without learning."""
        probabilities = self.predict_batch(images)
        return BatchResult(self._objective.mean(self._wanted(targets), probabilities), probabilities)

    def predict_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch."""
        eddl.set_mode(self._net, EVALUATING)
        return np.concatenate([self._forward(images[part]) for part in self._parts(images)])

    def save_weights(self, path: Path) -> None:
        """Write the parameters, whole or not at all."""
        own = parameters.parameters_of(self._net)
        parameters.write(path, {"names": list(own)}, {"parameters": list(own.values())})

    def load_weights(self, path: Path) -> Sequence[str]:
        """Load the parameters that fit by name and shape; return the names of the others."""
        header, arrays = parameters.read(path)
        return parameters.put(self._net, dict(zip(header["names"], arrays["parameters"], strict=True)))

    def load_pretrained(self, path: Path | None) -> Sequence[str]:
        """Refuse: those files are PyTorch's."""
        raise JobFailure("Pretrained: these files are PyTorch's; give None, or choose the engine Torch.")

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as an ONNX file, whole or not at all."""
        eddl.set_mode(self._net, EVALUATING)
        onnx_export.export(self._net, path, metadata)

    def save_checkpoint(self, path: Path, position: dict) -> None:
        """Write what a resume needs: parameters, gradients that wait for a step, and the optimizer's means."""
        own = parameters.parameters_of(self._net)
        groups = {name: parameters.arrays_of(tensors) for name, tensors in self._optimizer_tensors().items()}
        gradients = [array for layer in self._net.layers for array in parameters.arrays_of(layer.gradients)]
        header = {
            "names": list(own),
            "steps": getattr(self._optimizer, "t", 0),
            "has_gradients": self._has_gradients,
            "position": position,
        }
        parameters.write(path, header, {"parameters": list(own.values()), "gradients": gradients, **groups})

    def load_checkpoint(self, path: Path) -> dict:
        """Restore what `save_checkpoint` wrote and return the position."""
        header, arrays = parameters.read(path)
        try:
            unfitting = parameters.put(self._net, dict(zip(header["names"], arrays["parameters"], strict=True)))
            if unfitting:
                raise ValueError(f"{unfitting[0]} has another shape")
            for name, tensors in self._optimizer_tensors().items():
                _fill_all(tensors, arrays[name])
            _fill_all([tensor for layer in self._net.layers for tensor in layer.gradients], arrays["gradients"])
            if hasattr(self._optimizer, "t"):
                self._optimizer.t = header["steps"]
            self._has_gradients = header["has_gradients"]
            return header["position"]
        except (KeyError, ValueError) as error:
            raise JobFailure(f"{path.name} is no checkpoint of this network: {error}") from error

    def _optimizer_tensors(self) -> dict[str, Sequence]:
        return {name: getattr(self._optimizer, name) for name in ("mT", "vT") if hasattr(self._optimizer, name)}

    def _parts(self, images: np.ndarray) -> list[slice]:
        size = -(-len(images) // self._config.batch_parts)
        return [slice(start, start + size) for start in range(0, len(images), size)]

    def _forward(self, images: np.ndarray) -> np.ndarray:
        """Compute a batch of any size, to which EDDL makes the net fit."""
        eddl.forward(self._net, [Tensor.fromarray(np.ascontiguousarray(images, np.float32))])
        return np.array(self._net.lout[0].output)

    def _wanted(self, targets: np.ndarray) -> np.ndarray:
        """Turn targets into what the losses compare with, of the probabilities' shape."""
        if self._config.is_multi_label:
            return targets.astype(np.float32)
        if self._config.output_channels == 1:
            return targets[:, None].astype(np.float32)
        one_hot = targets[..., None] == np.arange(self._config.output_channels)
        return np.ascontiguousarray(np.moveaxis(one_hot, -1, 1), np.float32)


def _optimizer(config: TrainingConfig):
    if config.optimizer == "sgd":
        return eddl.sgd(config.learning_rate, MOMENTUM)
    return eddl.adam(config.learning_rate)


def _fill_all(tensors: Sequence, arrays: Sequence[np.ndarray]) -> None:
    for tensor, array in zip(tensors, arrays, strict=True):
        parameters.fill(tensor, array)


def _together(results: Sequence[BatchResult]) -> BatchResult:
    """Put the results of a batch's parts together."""
    counts = [len(result.probabilities) for result in results]
    loss = sum(result.loss * count for result, count in zip(results, counts, strict=True)) / sum(counts)
    return BatchResult(loss, np.concatenate([result.probabilities for result in results]))
