"""Write a net of EDDL as an ONNX file in the form of every engine: from `images` to `probabilities`."""

from collections.abc import Mapping
from pathlib import Path

import onnx
from pyeddl import eddl
from pyeddl._core import Net

from app.engines.onnx_files import IMAGES, PROBABILITIES, describe
from app.files import write_atomically
from app.temporary import temporary_folder

OPSET = 13  # EDDL says 11, in which a softmax is over all axes from the given one on; EDDL means that one alone
NEWEST_FORM = 8  # of the files that programs of some years ago read


def export(net: Net, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a net whose last layer gives probabilities, with this metadata; whole or not at all."""
    with temporary_folder("eddl") as folder:
        own = folder / "own.onnx"
        eddl.save_net_to_onnx_file(net, str(own))
        model = onnx.load(own)
    _rename(model.graph, model.graph.input[0].name, IMAGES)
    _rename(model.graph, model.graph.output[0].name, PROBABILITIES)
    for node in model.graph.node:
        if node.op_type == "Resize":
            _repeat_pixels(node)
    model.opset_import[0].version = OPSET
    model.ir_version = min(model.ir_version, NEWEST_FORM)
    describe(model, metadata)
    write_atomically(path, model.SerializeToString())


def _repeat_pixels(node: onnx.NodeProto) -> None:
    """Say in full what EDDL's enlarging does: each pixel is repeated, which its own file leaves open."""
    del node.attribute[:]
    values = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
    node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in values.items())


def _rename(graph: onnx.GraphProto, name: str, new_name: str) -> None:
    """Call a value of a graph otherwise, wherever it stands."""
    for value in (*graph.input, *graph.output):
        if value.name == name:
            value.name = new_name
    for node in graph.node:
        node.input[:] = [new_name if entry == name else entry for entry in node.input]
        node.output[:] = [new_name if entry == name else entry for entry in node.output]
