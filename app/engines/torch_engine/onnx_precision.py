"""Give a foreign graph one kind of real numbers, float32, in which the service computes and trains."""

from onnx import ModelProto, TensorProto, numpy_helper

from app.engines.torch_engine.onnx_import import to_tensor

OTHER_KINDS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
KIND_ATTRIBUTES = ("to", "dtype")


def widen(model: ModelProto) -> list[str]:
    """Make every real number of a graph a float32; return a sentence if there were others.

    Kinds may be mixed in a file. Whatever runs it then computes what the service computes, and no weights are rounded
    when they are written back after a training.

    Raises:
        JobFailure: for stored numbers that cannot be read.
    """
    found = {tensor.data_type for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        _widen_tensor(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in KIND_ATTRIBUTES and attribute.i in OTHER_KINDS:
                attribute.i = TensorProto.FLOAT
            elif attribute.HasField("t"):
                found.add(attribute.t.data_type)
                _widen_tensor(attribute.t)
    for value in (*model.graph.input, *model.graph.output):
        kind = value.type.tensor_type
        found.add(kind.elem_type)
        if kind.elem_type in OTHER_KINDS:
            kind.elem_type = TensorProto.FLOAT
    del model.graph.value_info[:]
    names = [TensorProto.DataType.Name(kind).lower() for kind in OTHER_KINDS if kind in found]
    return [f"Numbers of type {' and '.join(names)} are computed as float32."] if names else []


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in OTHER_KINDS:
        tensor.CopyFrom(numpy_helper.from_array(to_tensor(tensor).numpy(), tensor.name))
