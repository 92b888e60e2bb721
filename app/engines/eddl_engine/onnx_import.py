"""Networks from ONNX files in EDDL: those of another engine, with their activation at the end."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto
from pyeddl import eddl
from pyeddl._core import Net

from app.engines.eddl_engine.losses import is_independent
from app.engines.eddl_engine.parameters import clear_unread
from app.errors import JobFailure
from app.training.config import TrainingConfig

# Those of EDDL's importer that take weights and attributes as the service's files have them.
# fmt: off
OPERATORS = frozenset([
    "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "Conv", "ConvTranspose", "Div",
    "Dropout", "Elu", "Exp", "Flatten", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu",
    "Linear", "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Resize", "Selu", "Sigmoid", "Softmax",
    "Softplus", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Upsample",
])
# fmt: on
CONVOLUTIONS = ("Conv", "ConvTranspose")
HEAD = "head_of_these_classes"


def check_operators(model: ModelProto) -> None:
    """Refuse a network with an operator that EDDL has not.

    Raises:
        JobFailure: naming it.
    """
    for node in model.graph.node:
        if node.op_type not in OPERATORS:
            raise JobFailure(f"The network has the operator {node.op_type}, which EDDL does not take; choose Torch.")


def read_net(path: Path, config: TrainingConfig) -> tuple[Net, Sequence[str]]:
    """Read a network, with another last layer where the config has other classes.

    Returns:
        The net, and the names of the layers to be drawn anew.

    Raises:
        JobFailure: when EDDL does not take it, or has nothing to replace in it.
    """
    model = onnx.load(path)
    check_operators(model)
    try:
        net = eddl.import_net_from_onnx_file(str(path))
    except RuntimeError as error:
        raise JobFailure(f"EDDL does not take the network ({error}); choose the engine Torch.") from error
    clear_unread(net, {node.name for node in model.graph.node if node.op_type in CONVOLUTIONS and len(node.input) < 3})
    if tuple(net.lin[0].input.shape[1:]) != (config.channels, config.input_height, config.input_width):
        shape = " x ".join(map(str, net.lin[0].input.shape[1:]))
        raise JobFailure(f"The network takes images of {shape} (channels x height x width); give it that size.")
    if net.lout[0].output.shape[1] == config.output_channels:
        return net, ()
    return _with_other_head(net, config), (HEAD,)


def _with_other_head(net: Net, config: TrainingConfig) -> Net:
    """Replace the last dense layer, and the activation behind it."""
    names = [layer.name for layer in net.layers]
    dense = [layer for layer in net.layers if len(layer.params) and len(layer.params[0].shape) == 2]
    if not dense or names.index(dense[-1].name) < len(names) - 2:
        raise JobFailure("The network has no last dense layer that EDDL could replace for other classes; choose Torch.")
    place = names.index(dense[-1].name)
    for name in reversed(names[place:]):
        eddl.removeLayer(net, name)
    features = eddl.getLayer(net, names[place - 1])
    layer = eddl.Dense(features, config.output_channels, name=HEAD)
    return eddl.Model([eddl.getLayer(net, net.lin[0].name)], [activation(layer, config)])


def activation(layer, config: TrainingConfig):
    """Append what makes probabilities of logits."""
    if is_independent(config):
        return eddl.Sigmoid(layer, name="activation")
    return eddl.Softmax(layer, 1, name="activation")


def noise(config: TrainingConfig, count: int = 2) -> np.ndarray:
    """Return random images of the config's size."""
    shape = (count, config.channels, config.input_height, config.input_width)
    return np.random.default_rng(0).random(shape, dtype=np.float32)
