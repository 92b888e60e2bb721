"""Read an ONNX file that nobody vouches for, and find one's way in its graph."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, inliner

from app.engines.torch_engine.onnx_kinds import EXPORT_ADVICE, LONGEST_START, refuse_other_kinds
from app.engines.torch_engine.onnx_ops.registry import OPERATORS
from app.errors import JobFailure

OLDEST_OPSET = 7
MOST_NODES = 50_000
FREE_INITIALISERS = 4  # the file version since which initialisers need not be inputs too
DOMAINS = ("", "ai.onnx")
# How other programs write what the standard has another name for: those of EDDL.
DIALECT = {"Linear": "Identity", "Exponential": "Exp"}


def read_model(path: Path) -> ModelProto:
    """Read a file as an ONNX model of the standard's operators.

    Raises:
        JobFailure: one sentence why the file is none that can be used.
    """
    content = path.read_bytes()
    refuse_other_kinds(content[:LONGEST_START])
    try:
        model = ModelProto.FromString(content)
    except DecodeError as error:
        raise JobFailure(f"The file is no ONNX model: it cannot be decoded; {EXPORT_ADVICE}.") from error
    if not model.ir_version or not model.graph.node or not model.graph.output:
        raise JobFailure(f"The file is no ONNX model: it holds no network; {EXPORT_ADVICE}.")
    _refuse_other_files(model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    if len(model.graph.node) > MOST_NODES:
        raise JobFailure(f"The network has {len(model.graph.node):,} nodes; at most {MOST_NODES:,} are taken.")
    for node in model.graph.node:
        node.op_type = DIALECT.get(node.op_type, node.op_type) if node.domain in DOMAINS else node.op_type
    _refuse_unknown(model)
    _untie(model, len(content))
    model.ir_version = max(model.ir_version, FREE_INITIALISERS)
    return model


def _refuse_other_files(model: ModelProto) -> None:
    """Refuse weights that lie in other files: of those only the names came, and names lead anywhere."""
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise JobFailure(
                f"The weights {tensor.name[:60]!r} lie in another file; save the model as one file "
                "(onnx.save with save_as_external_data=False)."
            )


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model, those in subgraphs and functions too."""
    nodes = [node for function in model.functions for node in function.node]
    graphs = [model.graph]
    for info in model.training_info:
        graphs += [info.initialization, info.algorithm]
    while nodes or graphs:
        while graphs:
            graph = graphs.pop()
            nodes.extend(graph.node)
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        if not nodes:
            return
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs.extend(inner for inner in (attribute.g, *attribute.graphs) if inner.node or inner.initializer)


def _refuse_unknown(model: ModelProto) -> None:
    if model.graph.sparse_initializer:
        raise JobFailure("The file has sparse weights; save them as dense ones.")
    version = opset_of(model)
    if version < OLDEST_OPSET:
        raise JobFailure(
            f"The file uses operator set {version}; {OLDEST_OPSET} or newer is needed (onnx.version_converter helps)."
        )
    if version > onnx.defs.onnx_opset_version():
        raise JobFailure(f"The file uses operator set {version}, newer than {onnx.defs.onnx_opset_version()}.")
    for node in model.graph.node:
        if node.domain not in DOMAINS or (node.op_type not in OPERATORS and node.op_type != "Constant"):
            domain = f"{node.domain}." if node.domain not in DOMAINS else ""
            raise JobFailure(
                f"The operator {domain}{node.op_type[:60]} of node {name_of(node)[:80]!r} is not among those that the "
                "service can compute."
            )


def _untie(model: ModelProto, room_bytes: int) -> None:
    """Give each name its own weights: torch stores equal ones, such as fresh biases, once, under the name of one."""
    initialisers = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        tensor = initialisers.get(node.input[0]) if node.op_type == "Identity" else None
        room_bytes -= tensor.ByteSize() if tensor is not None else 0
        if tensor is None or room_bytes < 0:
            kept.append(node)
            continue
        copy = model.graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = node.output[0]
    if len(kept) < len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(kept)


def opset_of(model: ModelProto) -> int:
    """Return the version of the default operator set."""
    return max((entry.version for entry in model.opset_import if entry.domain in DOMAINS), default=1)


def name_of(node: NodeProto) -> str:
    """Return what a node is called: its name, else its first output."""
    return node.name or (node.output[0] if node.output else node.op_type)


@dataclass
class GraphIndex:
    """Who makes and who uses each value of a graph."""

    graph: GraphProto
    producers: dict[str, NodeProto] = field(default_factory=dict)
    consumers: dict[str, list[NodeProto]] = field(default_factory=dict)
    initialisers: dict[str, TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.initialisers = {tensor.name: tensor for tensor in self.graph.initializer}
        for node in self.graph.node:
            self.producers.update(dict.fromkeys(node.output, node))
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def image_input(self) -> onnx.ValueInfoProto:
        """Return the only input.

        Raises:
            JobFailure: if there is another number of them, or if it has not four axes.
        """
        inputs = [value for value in self.graph.input if value.name not in self.initialisers]
        if len(inputs) != 1:
            names = ", ".join(value.name[:40] for value in inputs[:5]) or "none"
            raise JobFailure(f"The network has {len(inputs)} inputs ({names}); one is expected, a batch of images.")
        if len(sizes_of(inputs[0])) != 4:
            raise JobFailure(
                f"The input {inputs[0].name[:60]!r} has {len(sizes_of(inputs[0]))} axes; four are expected: "
                "images, channels, height and width, or channels last."
            )
        return inputs[0]


def sizes_of(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the size of each axis, None where it is free."""
    return [axis.dim_value if axis.dim_value > 0 else None for axis in value.type.tensor_type.shape.dim]


def value_info(name: str, sizes: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    """Describe a float32 value."""
    return onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes))
