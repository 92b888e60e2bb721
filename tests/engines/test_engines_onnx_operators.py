"""Every operator against the cases of the ONNX standard itself, which the onnx package holds."""

import re

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from app.engines.torch_engine.onnx_import import as_node, constant_of, to_tensor
from app.engines.torch_engine.onnx_ops.registry import OPERATORS, Unsupported

# Kinds of numbers that networks for images do not have, training as the standard sees it, and cases that are told to be
# unsupported or in which onnxruntime too differs from the standard.
LEFT_OUT = re.compile(
    r"cast|_u?int\d+|string|_bool\b|training|flexattention|attention_|tf_crop|antialias|not_larger|not_smaller|"
    r"exclude_outside|cumsum|empty_set|select_last_index|dilations|last_window_starts_on_pad|scales_\w+_align_corners"
)
FEWEST_CASES = 500


class Owner(torch.nn.Module):
    fixed_batch = None
    batch = 0


def cases():
    with np.errstate(all="ignore"):
        collected = collect_testcases(None)
    for case in collected:
        operators = {node.op_type for node in case.model.graph.node}
        if operators <= OPERATORS.keys() | {"Constant"} and not LEFT_OUT.search(case.name):
            yield case


CASES = list(cases())


def values_of(case, inputs):
    graph = case.model.graph
    opset = max(entry.version for entry in case.model.opset_import if not entry.domain)
    values = {"": None}
    for entry, value in zip(graph.input, inputs, strict=False):
        values[entry.name] = to_tensor(numpy_helper.from_array(np.asarray(value)))
    for source in graph.node:
        node = as_node(source, opset, Owner().eval())
        if node.operator == "Constant":
            values[node.outputs[0]] = constant_of(node)
            continue
        result = OPERATORS[node.operator](node, *(values[name] for name in node.inputs))
        results = (result,) if isinstance(result, torch.Tensor) else result
        values.update(zip(node.outputs, results, strict=False))
    return values


def test_the_standard_has_many_cases_for_our_operators():
    assert len(CASES) > FEWEST_CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_operator_computes_what_the_standard_says(case):
    for inputs, outputs in case.data_sets:
        expected = np.asarray(outputs[0])
        is_narrow = expected.dtype.name in ("float16", "bfloat16")

        found = values_of(case, inputs)[case.model.graph.output[0].name].numpy()

        assert found.shape == expected.shape
        np.testing.assert_allclose(
            found.astype(np.float64), expected.astype(np.float64), rtol=2e-2 if is_narrow else 1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["test_resize_tf_crop_and_resize", "test_cumsum_1d_reverse"])
def test_what_is_not_supported_is_told_and_not_computed_wrongly(name):
    with np.errstate(all="ignore"):
        case = next(case for case in collect_testcases(None) if case.name == name)

    with pytest.raises(Unsupported):
        values_of(case, case.data_sets[0][0])
