"""Small ONNX files as other programs write them, made on the spot."""

import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from app.training.config import TrainingConfig


def config_for(task="classification", classes=3, channels=3, height=16, width=16):
    return TrainingConfig(
        task=task, architecture=f"onnx_{task}", classes=tuple(f"c{index}" for index in range(classes)),
        channels=channels, learning_rate=1e-2, loss="cross_entropy", metric="categorical_accuracy", epochs=1,
        batch_size=4, input_height=height, input_width=width, optimizer="sgd", weight_decay=0.0, seed=7,
    )  # fmt: skip


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.3


def make(
    path, nodes, weights, input_shape, output="out", opset=13, outputs=(), kind=TensorProto.FLOAT, ir_version=8,
    output_kind=TensorProto.FLOAT,
):  # fmt: skip
    """Write a graph; `nodes` are (operator, inputs, outputs, attributes)."""
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, results, name=f"{operator}_{index}", **attributes)
         for index, (operator, inputs, results, attributes) in enumerate(nodes)],
        "graph",
        [helper.make_tensor_value_info("images", kind, input_shape)],
        [helper.make_tensor_value_info(name, output_kind, None) for name in (output, *outputs)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def export(module, path, shape, opset=17, is_training=True, **options):
    """Export by torch's TorchScript exporter, with the batch normalisation kept or folded."""
    kept = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE} if is_training else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.rand(shape),), str(path), dynamo=False, opset_version=opset, **kept, **options
        )
    return path


def tensorflow_like(path, opset=9):
    """As tf2onnx writes: channels last, turned at once; padding apart; biases added; dense layers as MatMul."""
    weights = {
        "conv/kernel": numbers(8, 3, 3, 3), "conv/bias": numbers(1, 8, 1, 1, seed=1),
        "dense/kernel": numbers(8, 3, seed=2), "dense/bias": numbers(3, seed=3),
        "bn/scale": numbers(8, seed=4) + 1, "bn/offset": numbers(8, seed=5),
        "bn/mean": numbers(8, seed=6), "bn/variance": np.abs(numbers(8, seed=7)) + 0.5,
    }  # fmt: skip
    pads = [0, 0, 0, 0, 0, 0, 1, 1]
    padding = ["turned"] if opset < 11 else ["turned", "pads"]
    attributes = {"pads": pads} if opset < 11 else {}
    if opset >= 11:
        weights["pads"] = np.array(pads, np.int64)
    axes = {"axes": [2, 3]} if opset < 13 else {}
    squeezed = ["pooled"] if opset < 13 else ["pooled", "axes"]
    if opset >= 13:
        weights["axes"] = np.array([2, 3], np.int64)
    nodes = [
        ("Transpose", ["images"], ["turned"], {"perm": [0, 3, 1, 2]}),
        ("Pad", padding, ["padded"], attributes),
        ("Conv", ["padded", "conv/kernel"], ["convolved"], {"strides": [2, 2], "kernel_shape": [3, 3]}),
        ("Add", ["convolved", "conv/bias"], ["biased"], {}),
        ("BatchNormalization", ["biased", "bn/scale", "bn/offset", "bn/mean", "bn/variance"], ["normal"], {}),
        ("Relu", ["normal"], ["active"], {}),
        ("GlobalAveragePool", ["active"], ["pooled"], {}),
        ("Squeeze", squeezed, ["flat"], axes),
        ("MatMul", ["flat", "dense/kernel"], ["product"], {}),
        ("Add", ["product", "dense/bias"], ["logits"], {}),
        ("Softmax", ["logits"], ["out"], {"axis": 1}),
    ]
    return make(path, nodes, weights, ["N", 16, 16, 3], opset=opset)


def eddl_like(path):
    """As EDDL writes: layers by its own names, `Linear` for no activation, a reshape that begins with -1."""
    weights = {
        "conv1_W": numbers(4, 1, 3, 3), "conv1_b": numbers(4, seed=1),
        "dense1_W": numbers(4 * 16, 3, seed=2), "dense1_b": numbers(3, seed=3),
    }  # fmt: skip
    pads = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    shape = helper.make_tensor("const_tensor", TensorProto.INT64, [2], [-1, 64])
    nodes = [
        ("Conv", ["images", "conv1_W", "conv1_b"], ["conv1"], pads),
        ("Relu", ["conv1"], ["relu1"], {}),
        ("MaxPool", ["relu1"], ["maxpool1"], pool),
        ("Linear", ["maxpool1"], ["linear1"], {}),
        ("Constant", [], ["reshape1_target_shape"], {"value": shape}),
        ("Reshape", ["linear1", "reshape1_target_shape"], ["reshape1"], {}),
        ("Gemm", ["reshape1", "dense1_W", "dense1_b"], ["dense1"], {"alpha": 1.0, "beta": 1.0, "transA": 0}),
        ("Softmax", ["dense1"], ["out"], {"axis": 1}),
    ]
    return make(path, nodes, weights, ["batch", 1, 8, 8], opset=11, ir_version=7)


def run(model, images):
    """Return the first output of onnxruntime."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # only errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(images)})[0]


def with_random_weights(path, source):
    """Copy a file of the onnx package, whose weights are constants, with random ones instead."""
    model = onnx.load(source)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kept = []
    for index, node in enumerate(model.graph.node):
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]].tolist()
        value = numbers(*shape, seed=index) * np.float32(4 / max(np.prod(shape[1:]), 1) ** 0.5)
        positive = ("_variance", "riv", "_siv", "var")
        value = np.abs(value) + 0.5 if any(word in node.output[0] for word in positive) else value
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path
