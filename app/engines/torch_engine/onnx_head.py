"""Replace the last layer of a graph, so that it tells other classes apart."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from onnx import ModelProto, NodeProto, numpy_helper
from torch import Tensor, nn

from app.engines.torch_engine.onnx_graph import GraphIndex, name_of, opset_of, sizes_of
from app.engines.torch_engine.onnx_import import VIEWS, as_node, constant_of, to_tensor
from app.engines.torch_engine.onnx_ops.registry import OPERATORS
from app.engines.torch_engine.onnx_rewrite import FIRST_LOGIT
from app.errors import JobFailure

LAYERS = ("Gemm", "Conv", "MatMul", "ConvTranspose")
ADDITIONS = ("Add", "Sum")
# Operators whose other inputs are sizes, places and the like, computed or not.
ONE_SOURCE = ("Slice", "Reshape", "Resize", "Upsample", "Pad", "Expand", "Squeeze", "Unsqueeze", "Tile", "Clip")
LAYER_KEY = "deephealth.layer_to_remove"  # in a file's metadata: what its owner calls the last layer


@dataclass(frozen=True)
class Head:
    """The last layer with weights: its node, and the nodes from it to the output, the output's first."""

    node: NodeProto
    behind: tuple[NodeProto, ...]


def find_head(model: ModelProto, layer: str | None = None) -> Head:
    """Return the last layer, or make sure that the named one is it.

    Args:
        model: a graph in the service's form.
        layer: the name of a node, of its result or of its weights.

    Raises:
        JobFailure: if there is no single last layer, or if it is another one than the named.
    """
    head = _last_layer(_Stored(model))
    if layer and layer not in _names(head):
        known = {name for node in model.graph.node for name in (node.name, *node.output, *node.input)}
        is_there = layer in known | {name.rpartition(".")[0] for name in known}
        raise JobFailure(
            f"Only the last layer of a network can be replaced, {name_of(head.node)[:80]!r}; "
            f"{layer[:80]!r} is {'another one' if is_there else 'not in the network'}."
        )
    return head


def head_weights(model: ModelProto) -> set[str]:
    """Return the names of the last layer's weights; none if there is no single last layer."""
    stored = _Stored(model)
    try:
        head = _last_layer(stored)
    except JobFailure:
        return set()
    return {stored.source(node.input[slot])[0] for node, slot in [(head.node, 1), *_biases(stored, head)]}


def fit_head(model: ModelProto, count: int) -> list[str]:
    """Replace the last layer if it has another number of outputs; return the names of the weights that are new."""
    sizes = sizes_of(model.graph.output[0])
    if sizes[1] == count:
        return []
    layers = [entry.value for entry in model.metadata_props if entry.key == LAYER_KEY]
    return replace_head(model, count, layers[0] if layers else None)


def replace_head(model: ModelProto, count: int, layer: str | None = None) -> list[str]:
    """Draw the last layer anew for `count` outputs; return the names of the weights that are new.

    Weights are drawn as torch draws those of a dense layer, from its global generator.

    Raises:
        JobFailure: as `find_head`, or if the layer has a form that cannot be followed.
    """
    model.graph.output[0].name = _own_output(model)
    head, stored = find_head(model, layer), _Stored(model)
    weight = stored.value(head.node.input[1])
    axis = _output_axis(head.node, weight)
    old = weight.shape[axis]
    bound = 1 / math.sqrt(weight.numel() // old)
    names = [_draw(stored, head.node, 1, axis, count, bound)]
    for node, slot in _biases(stored, head):
        bias = stored.value(node.input[slot])
        if bias.numel() != old:
            raise JobFailure(f"The bias of the last layer {name_of(head.node)[:80]!r} has not one number per output.")
        place = next(place for place, size in enumerate(bias.shape) if size == old)
        names.append(_draw(stored, node, slot, place, count, bound))
    _fit_shapes(stored, head, old, count)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = count
    return names


def set_value(model: ModelProto, name: str, array: np.ndarray) -> None:
    """Store weights under a name instead of those that were there, as numbers of the same type."""
    graph = model.graph
    for tensor in graph.initializer:
        if tensor.name == name:
            kind = numpy_helper.to_array(tensor).dtype
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array.astype(kind)), name))
            break
    else:  # they were made by a node
        for position, node in enumerate(graph.node):
            if name in node.output:
                del graph.node[position]
                break
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    for value in graph.input:
        if value.name == name:
            graph.input.remove(value)
            break


class _Stored:
    """The values of a graph that come from stored weights alone."""

    def __init__(self, model: ModelProto):
        self.model = model
        self.index = GraphIndex(model.graph)

    def __contains__(self, name: str) -> bool:
        source, _ = self.source(name)
        producer = self.index.producers.get(source)
        return source in self.index.initialisers or (
            producer is not None and producer.op_type in ("Constant", "ConstantOfShape")
        )

    def source(self, name: str) -> tuple[str, bool]:
        """Return the name of the weights behind a value, and whether nothing else uses them in another form."""
        is_own = len(self.index.consumers.get(name, ())) == 1
        while name in self.index.producers and self.index.producers[name].op_type in VIEWS:
            name, is_own = self.index.producers[name].input[0], False
        return name, is_own

    def value(self, name: str) -> Tensor:
        """Compute a value."""
        if name in self.index.initialisers:
            return to_tensor(self.index.initialisers[name])
        node = as_node(self.index.producers[name], opset_of(self.model), nn.Module())
        node.owner.batch = node.owner.fixed_batch = None  # nothing here is about images
        if node.operator == "Constant":
            return constant_of(node)
        result = OPERATORS[node.operator](node, *(self.value(each) if each else None for each in node.inputs))
        return result if isinstance(result, Tensor) else result[node.outputs.index(name)]


def _last_layer(stored: _Stored) -> Head:
    name = _own_output(stored.model)
    behind: list[NodeProto] = []
    while (node := stored.index.producers.get(name)) is not None:
        if node.op_type in LAYERS and node.input[1] in stored:
            return Head(node, tuple(behind))
        behind.append(node)
        sources = node.input[:1] if node.op_type in ONE_SOURCE else node.input
        computed = {value for value in sources if value and value not in stored}
        if len(computed) != 1 or node.op_type == "BatchNormalization":
            break
        name = computed.pop()
    raise JobFailure(
        "The network has no single last layer (Gemm, MatMul or Conv) before its output, "
        "so that it cannot be adapted to other classes."
    )


def _names(head: Head) -> set[str]:
    """Return what people call the last layer."""
    nodes = [head.node, *(node for node in head.behind if node.op_type in ADDITIONS)]
    weights = {name for node in nodes for name in node.input[1:]}
    return {name for node in nodes for name in (node.name, *node.output)} | weights | {
        name.rpartition(".")[0] for name in weights
    }  # fmt: skip


def _output_axis(node: NodeProto, weight: Tensor) -> int:
    """Return which axis of a layer's weights counts the outputs."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if attributes.get("group", 1) > 1:
        raise JobFailure(f"The last layer {name_of(node)[:80]!r} has groups of channels, which cannot be adapted.")
    if node.op_type == "MatMul":
        return weight.ndim - 1
    return 0 if node.op_type == "Conv" or attributes.get("transB", 0) else 1


def _own_output(model: ModelProto) -> str:
    """Return the name of the logits before the service put one more in front of them, if it has."""
    name = model.graph.output[0].name
    node = GraphIndex(model.graph).producers.get(name)
    return node.input[1] if node is not None and name == FIRST_LOGIT else name


def _biases(stored: _Stored, head: Head) -> Iterator[tuple[NodeProto, int]]:
    """Yield where the layer, or an addition behind it, takes a bias."""
    if len(head.node.input) > 2 and head.node.input[2]:
        yield head.node, 2
    for node in head.behind:
        slots = [slot for slot, name in enumerate(node.input) if name in stored]
        if node.op_type in ADDITIONS and slots and stored.value(node.input[slots[0]]).numel() > 1:
            yield node, slots[0]


def _draw(stored: _Stored, node: NodeProto, slot: int, axis: int, count: int, bound: float) -> str:
    """Give a node new random weights with `count` entries along an axis; return their name."""
    shape = list(stored.value(node.input[slot]).shape)
    shape[axis] = count
    name, is_own = stored.source(node.input[slot])
    if not is_own:
        name = node.input[slot] = f"{name}/new"
    set_value(stored.model, name, torch.empty(shape).uniform_(-bound, bound).numpy())
    return name


def _fit_shapes(stored: _Stored, head: Head, old: int, count: int) -> None:
    """Correct the sizes that reshaping nodes behind the layer name."""
    for node in head.behind:
        if node.op_type not in ("Reshape", "Expand") or len(node.input) < 2 or node.input[1] not in stored:
            continue
        sizes = stored.value(node.input[1])
        if old in sizes.tolist():
            node.input[1] = f"{node.input[1]}/new"
            fitted = torch.where(sizes == old, count, sizes)
            stored.model.graph.initializer.append(numpy_helper.from_array(fitted.numpy(), node.input[1]))
