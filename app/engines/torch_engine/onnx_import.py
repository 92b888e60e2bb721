"""An ONNX graph as a PyTorch network that can be trained: its weights become parameters, named after them."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, numpy_helper
from torch import Tensor, nn

from app.engines.torch_engine.onnx_graph import GraphIndex, name_of, opset_of, sizes_of
from app.engines.torch_engine.onnx_ops import arithmetic, layers, resizing, shapes  # noqa: F401 - fill the table
from app.engines.torch_engine.onnx_ops.registry import OPERATORS, Node, Unsupported
from app.errors import JobFailure

MOST_CONSTANTS = 2**29
CLOSE = 1e-4
ONE_DEVICE = (
    "The uploaded network computes exactly {count} images at a time, which several Devices cannot share; "
    "choose a single device, or export the network with a free batch size."
)
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")
# The inputs by which an operator takes weights. Additions and the like have them only behind a layer: what is added to
# the images themselves, such as their mean, is preprocessing.
WEIGHTS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (0, 1, 2),
    "MatMul": (0, 1),
    "Einsum": (0, 1),
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "PRelu": (1,),
}
WEIGHTS_BEHIND_LAYERS = ("Add", "Mul", "Sum", "Concat", "Where")
STATISTICS = {"BatchNormalization": (3, 4)}
# What may lie between stored weights and the layer that uses them.
VIEWS = ("Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Cast", "Flatten", "Gather", "Slice", "Expand")
LEAVES = ("Constant", "ConstantOfShape")


class GraphModule(nn.Module):
    """Runs a graph with one image input; the first output is the result.

    Attributes:
        fixed_batch: the number of images that the file was made for, None where it is free. Any number is taken: at
            once if the graph gives the same then, else in parts.
        batch: the number of images at hand.
        is_shared: whether several processes learn from a part of each batch.
        weight_names: the name in the file of each parameter and running statistic.
        head: the parameters that learn while the others are held still.
    """

    def __init__(self, model: ModelProto):
        super().__init__()
        index = GraphIndex(model.graph)
        image = index.image_input()
        self.fixed_batch = sizes_of(image)[0]
        self.batch = 0
        self.is_shared = False
        self._is_batch_free: bool | None = None
        self.weight_names: dict[str, str] = {}
        self.head: frozenset[str] = frozenset()
        self._input, self._output = image.name, model.graph.output[0].name
        self._constants: dict[str, Tensor] = {}
        self._attributes: dict[str, str] = {}
        self._plan: list[tuple[Node, tuple[str, ...]]] = []
        _Compiler(self, model, index).compile()

    def forward(self, images: Tensor) -> Tensor:
        """Return the graph's result for images `(N, C, H, W)`, or with channels last where the graph has them so.

        Raises:
            JobFailure: naming the node that cannot be computed.
        """
        if self.fixed_batch in (None, len(images)) or self._takes_any_batch(images):
            return self._run(images)
        return self._in_parts(images)

    def _takes_any_batch(self, images: Tensor) -> bool:
        """Find out, once, whether a graph that names its number of images computes each of any other number alike."""
        if self._is_batch_free is None:
            was_training = self.training
            with torch.no_grad():
                self.eval()
                try:
                    expected, found = self._in_parts(images), self._run(images)
                    near = CLOSE * float(expected.abs().max())
                    self._is_batch_free = expected.shape == found.shape and bool((expected - found).abs().max() <= near)
                except JobFailure:
                    self._is_batch_free = False
                self.train(was_training)
        return self._is_batch_free

    def _in_parts(self, images: Tensor) -> Tensor:
        """Run as many images at a time as the file was made for; the last part is filled up."""
        if self.is_shared and self.training:  # some processes would have more parts to normalise than others
            raise JobFailure(ONE_DEVICE.format(count=self.fixed_batch))
        size = self.fixed_batch or len(images)
        missing = -len(images) % size
        padded = torch.cat([images, images[:1].expand(missing, *images.shape[1:])]) if missing else images
        return torch.cat([self._run(part) for part in padded.split(size)])[: len(images)]

    def _run(self, images: Tensor) -> Tensor:
        self.batch = len(images)
        values: dict[str, Tensor | None] = {"": None, **self._constants, self._input: images}
        values.update({name: getattr(self, attribute) for name, attribute in self._attributes.items()})
        node: Node | None = None
        try:
            for node, finished in self._plan:
                result = OPERATORS[node.operator](node, *(values[name] for name in node.inputs))
                if isinstance(result, Tensor):
                    values[node.outputs[0]] = result
                else:
                    values.update(zip(node.outputs, result, strict=False))
                for name in finished:
                    del values[name]
            output = values[self._output]
        except (Unsupported, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
            if node is None or isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise
            raise _failure(node, error) from error
        assert output is not None  # only the empty name stands for nothing
        return output

    def add_constant(self, name: str, value: Tensor) -> None:
        """Keep a value that training leaves alone; whole numbers stay on the processor, where shapes are computed."""
        if value.is_floating_point():
            self._attributes[name] = self._free_attribute(name)
            self.register_buffer(self._attributes[name], value, persistent=False)
        else:
            self._constants[name] = value

    def add_weights(self, name: str, value: Tensor, *, is_trainable: bool) -> None:
        """Keep a value as a parameter, or as a running statistic."""
        attribute = self._free_attribute(name)
        self._attributes[name] = self.weight_names[attribute] = attribute
        self.weight_names[attribute] = name
        if is_trainable:
            self.register_parameter(attribute, nn.Parameter(value))
        else:
            self.register_buffer(attribute, value)

    def keep_learning(self, names: Collection[str]) -> None:
        """Take the names in the file of the last layer's weights."""
        self.head = frozenset(attribute for attribute, name in self.weight_names.items() if name in names)

    def add_node(self, node: Node, finished: Iterable[str]) -> None:
        """Add the next node to run, with the values that are not needed after it."""
        self._plan.append((node, tuple(finished)))

    def _free_attribute(self, name: str) -> str:
        """Return the attribute that stands for a name: modules have names of their own, and take no dots."""
        attribute = name.replace(".", "/")
        while hasattr(self, attribute):
            attribute += "_"
        return attribute


class _Compiler:
    """Sorts a graph's values into weights, constants and what is computed from the images."""

    def __init__(self, module: GraphModule, model: ModelProto, index: GraphIndex):
        self._module = module
        self._index = index
        self._opset = opset_of(model)
        self._output = model.graph.output[0].name
        self._needed = _needed_nodes(index, self._output)
        self._constants = {name: to_tensor(tensor) for name, tensor in index.initialisers.items()}
        self._static: set[str] = {"", *self._constants}

    def compile(self) -> None:
        nodes = [as_node(source, self._opset, self._module) for source in self._needed]
        self._find_static(nodes)
        weights, statistics = self._find_weights(nodes)
        left = self._fold(nodes, weights | statistics)
        used = {name for node in left for name in node.inputs} | {self._output}
        for name in sorted(weights & used):
            self._module.add_weights(name, self._constants.pop(name), is_trainable=True)
        for name in sorted(statistics & used):
            self._module.add_weights(name, self._constants.pop(name), is_trainable=False)
        for name in used & self._constants.keys():
            self._module.add_constant(name, self._constants[name])
        self._add_plan(left)

    def _find_static(self, nodes: list[Node]) -> None:
        """Find the values that do not depend on the images."""
        for node in nodes:
            if node.operator == "Constant":
                self._constants[node.outputs[0]] = constant_of(node)
            elif node.operator == "ConstantOfShape" and node.inputs[0] in self._constants:
                _refuse_huge(node, self._constants[node.inputs[0]])
                self._run(node)
            if all(name in self._static for name in node.inputs):
                self._static.update(node.outputs)

    def _find_weights(self, nodes: list[Node]) -> tuple[set[str], set[str]]:
        weights: set[str] = set()
        statistics: set[str] = set()
        behind: set[str] = set()
        for node in nodes:
            if all(name in self._static for name in node.inputs):
                continue
            is_behind = node.operator in LAYERS or any(name in behind for name in node.inputs)
            slots: Iterable[int] = WEIGHTS.get(node.operator, ())
            if is_behind and node.operator in WEIGHTS_BEHIND_LAYERS:
                slots = range(len(node.inputs))
            weights |= self._stored(node, slots)
            statistics |= self._stored(node, STATISTICS.get(node.operator, ()))
            if is_behind:
                behind.update(node.outputs)
        return weights - statistics, statistics

    def _stored(self, node: Node, slots: Iterable[int]) -> set[str]:
        """Return the stored values, of several real numbers, from which these inputs come."""
        found = set()
        for slot in slots:
            name = node.inputs[slot] if slot < len(node.inputs) else ""
            while name in self._static and name in self._index.producers:
                producer = self._index.producers[name]
                if producer.op_type not in VIEWS:
                    break
                name = producer.input[0]
            value = self._constants.get(name)
            is_single = node.operator in WEIGHTS_BEHIND_LAYERS and value is not None and value.numel() <= 1
            if value is not None and value.is_floating_point() and not is_single and not self._is_filling(name, value):
                found.add(name)
        return found

    def _is_filling(self, name: str, value: Tensor) -> bool:
        """Tell whether a value only stands where weights could be: the ones and zeros of layers that have none."""
        producer = self._index.producers.get(name)
        return producer is not None and producer.op_type == "Constant" and bool((value == value.flatten()[:1]).all())

    def _fold(self, nodes: list[Node], kept: set[str]) -> list[Node]:
        """Compute what depends on nothing that changes; return the nodes that are left."""
        left = []
        for node in nodes:
            if node.operator in LEAVES and node.outputs[0] in self._constants:
                continue
            if all(not name or (name in self._constants and name not in kept) for name in node.inputs):
                self._run(node)
            else:
                left.append(node)
        return left

    def _run(self, node: Node) -> None:
        try:
            with torch.no_grad():
                inputs = [self._constants[name] if name else None for name in node.inputs]
                result = OPERATORS[node.operator](node, *inputs)
        except (Unsupported, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
            raise _failure(node, error) from error
        results = (result,) if isinstance(result, Tensor) else result
        self._constants.update(zip(node.outputs, results, strict=False))

    def _add_plan(self, nodes: list[Node]) -> None:
        made = {name for node in nodes for name in node.outputs}
        last_use = {name: position for position, node in enumerate(nodes) for name in node.inputs if name in made}
        finished: dict[int, list[str]] = {}
        for name, position in last_use.items():
            if name != self._output:
                finished.setdefault(position, []).append(name)
        for position, node in enumerate(nodes):
            self._module.add_node(node, finished.get(position, ()))


def _needed_nodes(index: GraphIndex, output: str) -> list[NodeProto]:
    """Return the nodes that an output depends on, each after those whose values it uses."""
    needed: dict[int, NodeProto] = {}
    wanted = [output]
    while wanted:
        node = index.producers.get(wanted.pop())
        if node is not None and id(node) not in needed:
            needed[id(node)] = node
            wanted.extend(node.input)
    return [node for node in index.graph.node if id(node) in needed]


def to_tensor(tensor: TensorProto) -> Tensor:
    """Return stored numbers; those of other widths as float32, and whole ones as int64.

    Raises:
        JobFailure: for numbers that are not all there, or of a kind that networks do not use.
    """
    try:
        array = np.array(numpy_helper.to_array(tensor))
        if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
            array = array.astype(np.float32)
        return torch.from_numpy(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise JobFailure(f"The stored values {tensor.name[:60]!r} cannot be read: {error}.") from error


def as_node(source: NodeProto, opset: int, owner: nn.Module) -> Node:
    """Return a node of a file as operators see it."""
    attributes = {attribute.name: _value_of(attribute) for attribute in source.attribute}
    return Node(source.op_type, name_of(source), tuple(source.input), tuple(source.output), attributes, opset, owner)


def _value_of(attribute: AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return to_tensor(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value


def constant_of(node: Node) -> Tensor:
    for name, kind in (("value_float", torch.float32), ("value_floats", torch.float32),
                       ("value_int", torch.int64), ("value_ints", torch.int64)):  # fmt: skip
        if name in node.attributes:
            return torch.tensor(node.attributes[name], dtype=kind)
    if isinstance(node.get("value"), Tensor):
        return node.get("value")
    raise JobFailure(f"The constant {node.name[:80]!r} holds no numbers.")


def _refuse_huge(node: Node, sizes: Tensor) -> None:
    count = 1
    for size in sizes.tolist():
        count *= size
    if count > MOST_CONSTANTS:
        raise JobFailure(f"The node {node.name[:80]!r} makes {count:,} numbers; at most {MOST_CONSTANTS:,} are taken.")


def _failure(node: Node, error: Exception) -> JobFailure:
    """Return the one sentence for a node that cannot be computed."""
    reason = " ".join(str(error).split())[:200].rstrip(".")
    if isinstance(error, Unsupported):
        return JobFailure(f"The operator {node.operator} of node {node.name[:80]!r} cannot be used with {reason}.")
    return JobFailure(f"The node {node.name[:80]!r} ({node.operator}) cannot be computed: {reason}.")
