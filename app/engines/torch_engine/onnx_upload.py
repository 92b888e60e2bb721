"""Take in an ONNX file that a user uploaded: check it, find out what it is, and bring it into the service's form."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, helper, numpy_helper

from app.augment.parser import parse
from app.engines.torch_engine.onnx_graph import GraphIndex, name_of, read_model, sizes_of, value_info
from app.engines.torch_engine.onnx_head import LAYER_KEY, find_head
from app.engines.torch_engine.onnx_import import GraphModule
from app.engines.torch_engine.onnx_precision import widen
from app.engines.torch_engine.onnx_rewrite import (
    PREFIX,
    WHOLE_NUMBERS,
    class_count,
    free_name,
    has_channels_first,
    is_independent,
    rewrite,
)
from app.errors import InvalidInput, JobFailure
from app.training.config import TrainingConfig
from app.training.engine import Imported, Wanted
from app.zoo.architectures import SEGMENTATION

FACTS_PREFIX = "deephealth."
MOST_CLASSES = 100_000
LARGEST_SIDE_PX = 4096
LONGEST_REASON = 300
# What a config of weights that were never trained here has in the place of a training's values.
UNTRAINED: dict[str, Any] = {
    "learning_rate": 1e-4,
    "epochs": 0,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "seed": 0,
}
BATCH_SIZES = {"classification": 16, SEGMENTATION: 4}


def read_upload(path: Path, wanted: Wanted) -> tuple[ModelProto, Imported]:
    """Read a foreign file; raises as `Engine.import_onnx`."""
    model = read_model(path)
    _check(model)
    facts = _facts(model)
    widened = widen(model)
    config, notes = _config(model, wanted, facts)
    notes += widened + rewrite(model, config)
    notes += _prepare_images(model, wanted, config)
    _refuse_empty(model)
    return model, Imported(config, tuple(notes), _last_layer(model, wanted.layer_to_remove))


def _check(model: ModelProto) -> None:
    """Let onnx's own checker judge the file, but for the sizes of outputs: those are found out, said or not."""
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON].rstrip(".")
        raise JobFailure(f"The file is no sound ONNX model: {reason}.") from error


def _refuse_empty(model: ModelProto) -> None:
    if not any(True for _ in GraphModule(model).parameters()):
        raise JobFailure("The network has no weights, so that there is nothing in it to use or to train.")


def _facts(model: ModelProto) -> dict[str, object]:
    """Return what the file says of itself, as the service writes it; what cannot be read counts as not said."""
    found: dict[str, object] = {}
    for entry in model.metadata_props:
        if entry.key.startswith(FACTS_PREFIX):
            try:
                found[entry.key.removeprefix(FACTS_PREFIX)] = json.loads(entry.value)
            except (ValueError, RecursionError):
                found[entry.key.removeprefix(FACTS_PREFIX)] = entry.value
    return found


def _config(model: ModelProto, wanted: Wanted, facts: Mapping[str, object]) -> tuple[TrainingConfig, list[str]]:
    """Return the config of an inference with the network."""
    if facts.get("task", wanted.task) != wanted.task:
        raise InvalidInput.at(
            "model_id", f"The file says that it is for {facts['task']}, and the model is for {wanted.task}."
        )
    channels, height, width = size = _input_size(model, wanted)
    known, notes = _known_classes(wanted, facts)
    is_segmentation = wanted.task == SEGMENTATION
    is_multi_label, said = (False, []) if is_segmentation else _is_multi_label(model, wanted, facts, size)
    notes += said
    config = TrainingConfig(
        task=wanted.task,
        architecture=f"onnx_{wanted.task}",
        classes=known or (),
        channels=channels,
        input_height=height,
        input_width=width,
        is_multi_label=is_multi_label,
        loss="binary_cross_entropy" if is_multi_label else "cross_entropy",
        metric="dice" if is_segmentation else "binary_accuracy" if is_multi_label else "categorical_accuracy",
        batch_size=BATCH_SIZES[wanted.task],
        test_augmentations=_text_in(facts),
        **UNTRAINED,
    )
    if known is None:
        classes = _numbered_classes(model, config)
        notes.append(
            f"The classes have no names; they are called {classes[0]!r} to {classes[-1]!r}."
            if len(classes) > 1
            else f"The class has no name; it is called {classes[0]!r}."
        )
        config = replace(config, classes=classes)
    return config, notes


def _is_multi_label(
    model: ModelProto, wanted: Wanted, facts: Mapping[str, object], size: tuple[int, int, int]
) -> tuple[bool, list[str]]:
    """Return whether each class is decided by itself; where nobody says it, a Sigmoid for each of several does."""
    if wanted.is_multi_label is not None or "is_multi_label" in facts:
        said = wanted.is_multi_label if wanted.is_multi_label is not None else facts["is_multi_label"]
        return said is True, []
    is_sigmoid = is_independent(model.graph, model.graph.output[0].name)
    if not is_sigmoid or class_count(_result_shape(model, size)) < 2:
        return False, []
    return True, [
        "The network ends with a Sigmoid for each class, so that each is decided by itself (multi-label); send "
        "is_multi_label=false if exactly one of them is right."
    ]


def _text_in(facts: Mapping[str, object]) -> str:
    """Return the test augmentations that the file was exported with; they are a part of how images are prepared."""
    text = facts.get("augmentations")
    if not isinstance(text, str):
        return ""
    try:
        parse(text)
    except InvalidInput as error:
        raise JobFailure(f"The file names augmentations that cannot be used: {error.message}") from error
    return text


def _input_size(model: ModelProto, wanted: Wanted) -> tuple[int, int, int]:
    """Return channels, height and width; what the owner says counts where the file leaves it open."""
    sizes = sizes_of(GraphIndex(model.graph).image_input())
    is_first = has_channels_first(sizes, wanted.channels)
    own = sizes[1:] if is_first else [sizes[3], sizes[1], sizes[2]]
    said = (wanted.channels, wanted.input_height, wanted.input_width or wanted.input_height)
    fields = ("colour_type", "input_height", "input_width")
    found = []
    for field, size, wish in zip(fields, own, said, strict=True):
        if size is None and wish is None:
            example = "GRAY or RGB" if field == "colour_type" else "pixels, such as 224"
            raise InvalidInput.at(field, f"{field}: the file leaves it open; send it ({example}).")
        if size is not None and wish not in (None, size):
            what = "channels" if field == "colour_type" else "pixels"
            raise InvalidInput.at(field, f"{field}: the network takes images of {size} {what}, not {wish}.")
        found.append(size or wish or 0)
    if max(found[1:]) > LARGEST_SIDE_PX:
        raise JobFailure(f"The network takes images of {found[1]} x {found[2]} pixels; at most {LARGEST_SIDE_PX} are.")
    return found[0], found[1], found[2]


def _known_classes(wanted: Wanted, facts: Mapping[str, object]) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the names of the classes, from the request or else the file."""
    if wanted.classes is not None:
        return wanted.classes, []
    classes = facts.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return None, []
    return tuple(classes), ["The names of the classes are those in the file."]


def _numbered_classes(model: ModelProto, config: TrainingConfig) -> tuple[str, ...]:
    """Return a number as the name of each class that the first output tells apart."""
    shape = _result_shape(model, (config.channels, config.input_height, config.input_width))
    if config.task == SEGMENTATION:
        sides = {config.input_height, config.input_width}
        planes = shape[0] if len(shape) == 3 and (shape[0] not in sides or shape[2] in sides) else shape[-1]
        planes = 1 if shape == (config.input_height, config.input_width) else planes
        count = max(planes, 1)
        # Several planes with a Sigmoid each leave the background unsaid, which is a class beside others.
        count += count > 1 and is_independent(model.graph, model.graph.output[0].name)
    else:
        count = class_count(shape)
        count = 2 if count == 1 and not config.is_multi_label else count
    if not 0 < count <= MOST_CLASSES:
        shown = " x ".join(f"{size:,}" for size in shape)
        advice = "; send the classes, and another of its outputs may fit" if len(model.graph.output) > 1 else ""
        raise JobFailure(f"The network gives {shown} numbers for each image, which are no classes{advice}.")
    return tuple(str(index) for index in range(count))


def _result_shape(model: ModelProto, size: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the shape of what the first output gives for one image of this size (channels, height, width)."""
    channels, height, width = size
    sizes = sizes_of(GraphIndex(model.graph).image_input())
    laid_out = size if has_channels_first(sizes, channels) else (height, width, channels)
    images = torch.rand(sizes[0] or 1, *laid_out, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        result = GraphModule(model).eval()(images)
    if not result.is_floating_point() and len(model.graph.output) == 1:
        raise JobFailure(WHOLE_NUMBERS)
    return tuple(result.shape[1:])


def _prepare_images(model: ModelProto, wanted: Wanted, config: TrainingConfig) -> list[str]:
    """Put before the network what it expects to be done with images: all that is data is 0 to 1, red first."""
    steps: list[tuple[str, np.ndarray]] = []
    if wanted.largest_value != 1:
        steps.append(("Mul", np.array(wanted.largest_value, np.float32)))
    for field, operator in (("mean", "Sub"), ("std", "Div")):
        values = getattr(wanted, field)
        if len(values) not in (0, 1, config.channels):
            raise InvalidInput.at(
                field, f"{field}: {len(values)} numbers are given, and images have {config.channels} channels."
            )
        if values:
            steps.append((operator, np.array(values, np.float32).reshape(1, -1, 1, 1)))
    nodes, graph = [], model.graph
    image = graph.input[0].name
    first = name = free_name(graph, "original_images")
    if wanted.is_blue_first:
        if config.channels != 3:
            raise InvalidInput.at("channel_order", "channel_order: only images of three channels can be turned.")
        turned = f"{PREFIX}turned_images"
        order = np.array([2, 1, 0], np.int64)
        graph.initializer.append(numpy_helper.from_array(order, f"{PREFIX}channel_order"))
        nodes.append(_step("Gather", [name, f"{PREFIX}channel_order"], turned, axis=1))
        name = turned
    for operator, constant in steps:
        result = f"{PREFIX}{operator.lower()}_images"
        graph.initializer.append(numpy_helper.from_array(constant, f"{result}_by"))
        nodes.append(_step(operator, [name, f"{result}_by"], result))
        name = result
    if not nodes:
        return []
    nodes[-1].output[0] = image
    declared = value_info(first, [axis or "N" for axis in sizes_of(graph.input[0])])
    rest = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *rest])
    graph.input.append(declared)
    return ["Images are prepared in the network: " + ", ".join(node.op_type for node in nodes) + "."]


def _step(operator: str, inputs: list[str], result: str, **attributes: int) -> NodeProto:
    return helper.make_node(operator, inputs, [result], name=result, **attributes)


def _last_layer(model: ModelProto, named: str | None) -> str | None:
    """Return the name of the layer that other classes replace; the one that its owner names has to be it."""
    if named:
        try:
            head = find_head(model, named)
        except JobFailure as error:
            raise InvalidInput.at("layer_to_remove", f"layer_to_remove: {error.message}") from error
        entry = model.metadata_props.add()
        entry.key, entry.value = LAYER_KEY, named
        return name_of(head.node)
    try:
        return name_of(find_head(model).node)
    except JobFailure:
        return None
