"""Bring a foreign graph into the one form that the service works with: images `(N, C, H, W)` in, logits out.

The logits are `(N, K)` for classification and `(N, K, H, W)` for segmentation, K as `TrainingConfig.output_channels`
says. What is changed is in the graph itself, so that any program can run it.
"""

from collections.abc import Sequence
from itertools import count

import numpy as np
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from app.engines.torch_engine.onnx_graph import GraphIndex, opset_of, sizes_of, value_info
from app.engines.torch_engine.onnx_import import GraphModule
from app.errors import InvalidInput, JobFailure
from app.training.config import TrainingConfig
from app.zoo.architectures import CLASSIFICATION, SEGMENTATION

PREFIX = "deephealth/"
FIRST_LOGIT = f"{PREFIX}two_logits"  # as it was named when there were never more
# What may come between the last activation and the output without changing what the numbers mean.
PASSING = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout")
ACTIVATIONS = ("Softmax", "Sigmoid")
BLUNT = (
    "The network ends with a HardSigmoid, whose numbers are not the probabilities that a loss or a decision needs; "
    "export it without that last operator, or with a Sigmoid in its place."
)
ONE_OF_SEVERAL = {
    CLASSIFICATION: "Its classes are taken to exclude each other: their probabilities are made to sum to 1.",
    SEGMENTATION: "Each pixel gets the most probable of the classes, so that one of them has to be the background; if "
    "none of these planes is, send one more name in classes, that of the background, first.",
}
NONE_OF_THEM = (
    "Each pixel gets the most probable of the {count} planes, and the background, which is the first class, where none "
    "reaches 0.5."
)
NEAR_ONE = 1e-3
EXCLUSIVE = (
    "is_multi_label: the probabilities of this network sum to 1, so that its classes exclude each other; leave it out."
)
WHOLE_NUMBERS = (
    "The network gives whole numbers, such as the decided class; a real number for each class is expected: export it "
    "without its last operators, such as ArgMax."
)
SAMPLES = 3
SMALLEST = 1e-30


def rewrite(model: ModelProto, config: TrainingConfig) -> list[str]:
    """Rewrite a graph for the images and classes of a config; return a sentence for each thing that was done.

    Raises:
        JobFailure: when images or classes do not fit the graph.
        InvalidInput: when its classes exclude each other, and the config says that they do not.
    """
    rewriter = _Rewriter(model, config)
    rewriter.turn_input()
    rewriter.choose_output()
    rewriter.cut_activation()
    rewriter.shape_output()
    rewriter.take_logarithm()
    rewriter.declare()
    return rewriter.done


def has_channels_first(sizes: Sequence[int | None], channels: int | None) -> bool:
    """Tell whether an input of these sizes, None where free, has its channels (if known) before height and width."""
    wanted = {channels} if channels else {1, 3}
    return sizes[1] in wanted or sizes[3] not in wanted


def class_count(shape: Sequence[int]) -> int:
    """Return how many classes the numbers for one image tell apart; 0 for maps and sequences, which tell none."""
    return int(np.prod(shape)) if sum(size != 1 for size in shape) <= 1 else 0


def last_activation(graph: GraphProto, output: str) -> NodeProto | None:
    """Return the Softmax or Sigmoid that an output is nothing but another form of.

    Raises:
        JobFailure: for a HardSigmoid.
    """
    producers = GraphIndex(graph).producers
    node = producers.get(output)
    while node is not None and node.op_type in PASSING:
        node = producers.get(node.input[0])
    if node is not None and node.op_type == "HardSigmoid":
        raise JobFailure(BLUNT)
    return node if node is not None and node.op_type in ACTIVATIONS else None


def is_independent(graph: GraphProto, output: str) -> bool:
    """Tell whether an output ends with a Sigmoid, so that each of its numbers is a question of its own."""
    activation = last_activation(graph, output)
    return activation is not None and activation.op_type == "Sigmoid"


class _Rewriter:
    def __init__(self, model: ModelProto, config: TrainingConfig):
        self._model = model
        self._graph = model.graph
        self._config = config
        self._image = GraphIndex(model.graph).image_input()
        self._input = self._image.name
        self._output = model.graph.output[0].name
        self._is_independent = False
        self.done: list[str] = []

    def turn_input(self) -> None:
        """Make the input `(N, C, H, W)` float32."""
        element = self._image.type.tensor_type.elem_type
        if element != TensorProto.FLOAT:
            kind = TensorProto.DataType.Name(element).lower()
            raise JobFailure(f"The input takes numbers of type {kind}; float32 is expected: export the network so.")
        sizes, config = sizes_of(self._image), self._config
        is_first = has_channels_first(sizes, config.channels)
        found = sizes[1:] if is_first else [sizes[3], sizes[1], sizes[2]]
        wanted = [config.channels, config.input_height, config.input_width]
        if any(size not in (None, want) for size, want in zip(found, wanted, strict=True)):
            shown = " x ".join("any" if size is None else str(size) for size in found)
            raise JobFailure(
                f"The network takes images of {shown} (channels, height, width), "
                f"not {' x '.join(map(str, wanted))}; leave the sizes out, or give its own."
            )
        if not is_first:
            self._before_input("Transpose", perm=[0, 2, 3, 1])
            self.done.append("The file has the channels last; images are turned before the first layer.")

    def choose_output(self) -> None:
        """Take the first output whose shape fits the classes."""
        names = [value.name for value in self._graph.output]
        shapes = {}
        are_real = []
        for name in names:
            self._only_output(name)
            self._is_independent = is_independent(self._graph, name)
            result = self._run()
            shapes[name] = tuple(result.shape[1:])
            are_real.append(result.is_floating_point())
            if are_real[-1] and self._fits(shapes[name]):
                self._output = name
                if len(names) > 1:
                    self.done.append(f"Of {len(names)} outputs, {name[:60]!r} is used.")
                return
        if not any(are_real):
            raise JobFailure(WHOLE_NUMBERS)
        shown = ", ".join(" x ".join(map(str, shape)) or "one number" for shape in shapes.values())
        wanted = self._config.output_channels
        if self._config.task == SEGMENTATION:
            expected = f"{wanted} planes of {self._config.input_height} x {self._config.input_width} pixels"
        else:
            expected = f"{wanted} numbers, one for each class"
        raise JobFailure(f"The network gives {shown} for each image; {expected}, are expected: check the classes.")

    def cut_activation(self) -> None:
        """Let the last Softmax or Sigmoid pass what it gets: losses are computed from logits."""
        node = last_activation(self._graph, self._output)
        if node is None:
            return
        if node.op_type == "Softmax" and self._config.is_multi_label:
            raise InvalidInput.at("is_multi_label", EXCLUSIVE)
        self.done.append(f"The last {node.op_type} is left to the loss and to the prediction.")
        node.op_type = "Identity"
        del node.attribute[:]

    def shape_output(self) -> None:
        """Bring the logits into their form."""
        result = self._run()
        if self._config.task == SEGMENTATION:
            self._shape_planes(result)
        elif result.ndim != 2:
            self._after_output("Flatten", axis=1)
        found, wanted = self._run().shape[1], self._config.output_channels
        if found < wanted:
            self._add_first_logit()
            one = "The one number for each image or pixel is taken as the logit of the second class."
            self.done.append(one if found == 1 else NONE_OF_THEM.format(count=found))
        elif found > 1 and self._is_independent and not self._config.is_multi_label:
            self.done.append(ONE_OF_SEVERAL[self._config.task])

    def _add_first_logit(self) -> None:
        """Put zeros before the logits: a Sigmoid compares with them, and the largest is what it would have chosen."""
        first = self._add("Gather", [self._output, self._constant(np.array([0], np.int64))], axis=1)
        zeros = self._add("Sub", [first, first])
        self._output = self._add("Concat", [zeros, self._output], FIRST_LOGIT, axis=1)
        self._only_output(self._output)

    def take_logarithm(self) -> None:
        """Make logits of what are probabilities already, computed by other operators than a Softmax."""
        result = self._run()
        if result.shape[1] < 2 or result.min() < 0 or (result.sum(dim=1) - 1).abs().max() > NEAR_ONE:
            return
        if self._config.is_multi_label:
            raise InvalidInput.at("is_multi_label", EXCLUSIVE)
        smallest = self._constant(np.array(SMALLEST, np.float32))
        self._output = self._add("Log", [self._add("Add", [self._output, smallest])])
        self._only_output(self._output)
        self.done.append("The outputs are probabilities; their logarithms are taken as logits.")

    def declare(self) -> None:
        """Write down what goes in and out now."""
        batch = sizes_of(self._image)[0] or "N"
        config = self._config
        size = [config.input_height, config.input_width]
        _replace(self._graph.input, [value_info(self._input, [batch, config.channels, *size])])
        planes = size if config.task == SEGMENTATION else []
        _replace(self._graph.output, [value_info(self._output, [batch, config.output_channels, *planes])])
        del self._graph.value_info[:]

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether the result for one image can become logits."""
        counts = self._plane_counts()
        if self._config.task != SEGMENTATION:
            return class_count(shape) in counts
        pixels = self._config.input_height * self._config.input_width
        if len(shape) == 2:
            return (shape[0] == pixels and shape[1] in counts) or (self._is_bare_plane(shape) and 1 in counts)
        return len(shape) == 3 and (shape[0] in counts or shape[2] in counts)

    def _is_bare_plane(self, shape: Sequence[int]) -> bool:
        """Tell whether the result for one image is a plane of its size, without an axis for the classes."""
        return list(shape) == [self._config.input_height, self._config.input_width]

    def _plane_counts(self) -> tuple[int, ...]:
        """Return how many numbers, or planes, can become the logits.

        One can stand for two classes, and planes that end with a Sigmoid can leave the background unsaid.
        """
        config = self._config
        count = config.output_channels
        is_unsaid = count == 2 or (count > 2 and self._is_independent and config.task == SEGMENTATION)
        return (count - 1, count) if is_unsaid and not config.is_multi_label else (count,)

    def _shape_planes(self, result: torch.Tensor) -> None:
        config = self._config
        size = [config.input_height, config.input_width]
        counts = self._plane_counts()
        if result.ndim == 3:
            is_bare = self._is_bare_plane(result.shape[1:])
            if not is_bare:
                self._after_output("Transpose", perm=[0, 2, 1])
            shape = self._constant(np.array([-1, 1 if is_bare else result.shape[2], *size], np.int64))
            self._output = self._add("Reshape", [self._output, shape])
            self._only_output(self._output)
        elif result.shape[1] not in counts or (list(result.shape[1:3]) == size and result.shape[3] in counts):
            self._after_output("Transpose", perm=[0, 3, 1, 2])
        result = self._run()
        if list(result.shape[2:]) == size:
            return
        if opset_of(self._model) < 11:
            raise JobFailure(f"The masks have {result.shape[3]} x {result.shape[2]} pixels; the size of the input is "
                             "expected, or operator set 11 or newer, in which they can be enlarged.")  # fmt: skip
        scales = [1, 1, *(want / extent for want, extent in zip(size, result.shape[2:], strict=True))]
        inputs = [self._output, "", self._constant(np.array(scales, np.float32))]
        self._output = self._add("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")
        self._only_output(self._output)
        self.done.append("The masks are enlarged to the size of the input.")

    def _run(self) -> torch.Tensor:
        """Return what the graph makes of some images."""
        images = np.random.default_rng(0).random(
            (sizes_of(self._image)[0] or SAMPLES, self._config.channels, self._config.input_height,
             self._config.input_width), dtype=np.float32,
        )  # fmt: skip
        with torch.inference_mode():
            return GraphModule(self._model).eval()(torch.from_numpy(images))

    def _before_input(self, operator: str, **attributes) -> None:
        name = free_name(self._graph, "images")
        self._graph.node.insert(0, helper.make_node(operator, [name], [self._input], **attributes))
        replaced = [value for value in self._graph.input if value.name != self._input]
        sizes = [sizes_of(self._image)[0] or "N", "C", "H", "W"]
        _replace(self._graph.input, [value_info(name, sizes), *replaced])
        self._input = name

    def _after_output(self, operator: str, **attributes) -> None:
        self._output = self._add(operator, [self._output], **attributes)
        self._only_output(self._output)

    def _add(self, operator: str, inputs: Sequence[str], name: str | None = None, **attributes) -> str:
        return add_node(self._graph, operator, inputs, name, **attributes)

    def _constant(self, array: np.ndarray) -> str:
        return add_constant(self._graph, array)

    def _only_output(self, name: str) -> None:
        _replace(self._graph.output, [value_info(name, [])])


def add_node(graph: GraphProto, operator: str, inputs: Sequence[str], name: str | None = None, **attributes) -> str:
    """Append a node and return the name of its result; who has had a given name before gets another one."""
    if name is None:
        name = free_name(graph, operator)
    else:
        old, name_of_old = name, free_name(graph, name.removeprefix(PREFIX))
        _rename(graph, old, name_of_old)
        inputs = [name_of_old if each == old else each for each in inputs]
    graph.node.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
    return name


def add_constant(graph: GraphProto, array: np.ndarray) -> str:
    """Store a constant and return its name."""
    name = free_name(graph, "constant")
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def free_name(graph: GraphProto, word: str) -> str:
    """Return a name that no value of a graph has."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    return next(name for number in count(1) if (name := f"{PREFIX}{word}_{number}") not in taken)


def _rename(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new


def _replace(values, new: Sequence[ValueInfoProto]) -> None:
    kept = list(new)
    del values[:]
    values.extend(kept)
