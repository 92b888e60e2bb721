"""Write networks as ONNX files: images `(N, C, H, W)` in, probabilities out, as an inference of the service gives them.

Batch normalisation stays as it is, so that the file can be trained further by whoever reads it.
"""

import copy
import logging
import warnings
from io import BytesIO

import torch
from onnx import ModelProto
from torch import nn

from app.engines.onnx_files import IMAGES, PROBABILITIES
from app.engines.torch_engine.losses import activate
from app.engines.torch_engine.onnx_graph import opset_of
from app.engines.torch_engine.onnx_head import set_value
from app.engines.torch_engine.onnx_import import GraphModule
from app.engines.torch_engine.onnx_rewrite import add_node
from app.training.config import TrainingConfig

OPSET = 17
TRACED_BATCH = 2


class _WithActivation(nn.Module):
    def __init__(self, network: nn.Module, *, is_multi_label: bool):
        super().__init__()
        self.network = network
        self.is_multi_label = is_multi_label

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return activate(self.network(images), is_multi_label=self.is_multi_label)


def export(network: nn.Module, graph: ModelProto | None, config: TrainingConfig) -> ModelProto:
    """Return the ONNX model of a network; one that came from a graph gives that graph with its weights of now."""
    if graph is not None:
        assert isinstance(network, GraphModule)  # what a graph is run by
        return _filled(network, graph, config)
    return _traced(network, config)


def _traced(network: nn.Module, config: TrainingConfig) -> ModelProto:
    whole = _WithActivation(copy.deepcopy(network).cpu(), is_multi_label=config.is_multi_label).eval()
    images = torch.rand(TRACED_BATCH, config.channels, config.input_height, config.input_width)
    stream = BytesIO()
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter(
            "ignore"
        )  # about ways to trace that are to come, and operators that are not deterministic
        torch.onnx.export(
            whole,
            (images,),
            stream,
            dynamo=False,  # the newer exporter folds batch normalisation, and needs one more package
            opset_version=OPSET,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=[IMAGES],
            output_names=[PROBABILITIES],
            dynamic_axes={IMAGES: {0: "N"}, PROBABILITIES: {0: "N"}},
        )
    return ModelProto.FromString(stream.getvalue())


class _quiet:
    """Keep the exporter's own account of its work out of the log."""

    def __enter__(self) -> None:
        self._level = logging.getLogger("torch.onnx").level
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)

    def __exit__(self, *exception: object) -> None:
        logging.getLogger("torch.onnx").setLevel(self._level)


def _filled(network: GraphModule, graph: ModelProto, config: TrainingConfig) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(graph)
    values = network.state_dict()
    for attribute, name in network.weight_names.items():
        set_value(model, name, values[attribute].cpu().numpy())
    _add_activation(model, config)
    return model


def _add_activation(model: ModelProto, config: TrainingConfig) -> None:
    """Append what turns logits into probabilities, over the second axis."""
    graph, logits = model.graph, model.graph.output[0].name
    axes = len(graph.output[0].type.tensor_type.shape.dim)
    if config.output_channels == 1 or config.is_multi_label:
        result = add_node(graph, "Sigmoid", [logits], PROBABILITIES)
    elif opset_of(model) >= 13 or axes == 2:
        result = add_node(graph, "Softmax", [logits], PROBABILITIES, axis=1)
    else:  # older ones take all axes from the given one on together
        last = add_node(graph, "Transpose", [logits], perm=[0, 2, 3, 1])
        turned = add_node(graph, "Softmax", [last], axis=3)
        result = add_node(graph, "Transpose", [turned], PROBABILITIES, perm=[0, 3, 1, 2])
    graph.output[0].name = result
