"""Bring an ONNX network into the form that EDDL takes: sizes as numbers, and no operator that does nothing."""

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference

from app.temporary import temporary_folder

# What onnxruntime would merge into operators and weights that cannot be trained further.
KEPT_APART = ["ConvBNFusion", "ConvAddFusion", "ConvMulFusion", "MatMulAddFusion", "GemmActivationFusion", "PadFusion"]
WITHOUT_EFFECT = ("Identity", "Dropout")  # when nothing is learned; EDDL's own dropout would scale
REPEATING = {"mode": b"nearest", "coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"}


def folded(model: ModelProto) -> ModelProto:
    """Return the same network for one image at a time; EDDL makes it fit any batch.

    Sizes that a network of any batch computes by operators of its own become numbers by that.
    """
    single = ModelProto()
    single.CopyFrom(model)
    single.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.output[0].type.tensor_type.shape.dim[:]
    single = shape_inference.infer_shapes(_with_constants(single))
    _leave_out(single)
    for node in single.graph.node:
        if node.op_type == "Resize":
            _as_upsample(single, node)
    for place, node in enumerate(single.graph.node):
        node.name = f"{node.op_type.lower()}{place}"  # what EDDL calls the layer: others it would change, or make up
    del single.graph.value_info[:]
    return single


def _with_constants(model: ModelProto) -> ModelProto:
    """Compute once and for all what depends on no image."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # only errors
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with temporary_folder("eddl") as folder:
        options.optimized_model_filepath = str(folder / "folded.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, disabled_optimizers=KEPT_APART)
        result = onnx.load(options.optimized_model_filepath)
    own = [entry for entry in result.opset_import if not entry.domain]
    del result.opset_import[:]
    result.opset_import.extend(own)
    return result


def _leave_out(model: ModelProto) -> None:
    """Remove the operators after which everything is as before; a slice may be of the whole."""
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    shapes = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in values}
    last = graph.output[0].name
    for node in list(graph.node):
        source, result = node.input[0] if node.input else "", node.output[0]
        is_whole = node.op_type == "Slice" and source in shapes and shapes[source] == shapes.get(result)
        if result == last or not (is_whole or node.op_type in WITHOUT_EFFECT):
            continue
        graph.node.remove(node)
        for other in graph.node:
            other.input[:] = [source if name == result else name for name in other.input]


def _as_upsample(model: ModelProto, node: NodeProto) -> None:
    """Call it by the older name, which EDDL takes, where pixels are repeated a whole number of times."""
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    if len(node.input) != 3 or node.input[2] not in constants:
        return
    scales = numpy_helper.to_array(constants[node.input[2]])
    if any(attributes.get(name) != value for name, value in REPEATING.items()) or (scales != np.rint(scales)).any():
        return
    node.op_type = "Upsample"
    node.input[:] = [node.input[0], node.input[2]]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("mode", "nearest"))
