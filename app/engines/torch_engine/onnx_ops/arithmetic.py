"""ONNX operators that compute element by element, and those that reduce axes."""

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor
from torch.nn import functional

from app.engines.torch_engine.onnx_ops.registry import OPERATORS, Node, Unsupported, axes_of, operator

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": functional.hardswish,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Mish": functional.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Pow": torch.pow,
    "Sub": torch.sub,
    "Sum": torch.add,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "ReduceL1": partial(torch.linalg.vector_norm, ord=1),
    "ReduceL2": partial(torch.linalg.vector_norm, ord=2),
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceMax": torch.amax,
    "ReduceMean": torch.mean,
    "ReduceMin": torch.amin,
    "ReduceSum": torch.sum,
    "ReduceSumSquare": lambda values, dim, keepdim: torch.sum(values * values, dim=dim, keepdim=keepdim),
}


def together(*values: Tensor) -> list[Tensor]:
    """Bring values to one device: numbers that come from shapes are made on the processor."""
    device = next((value.device for value in values if value.device.type != "cpu"), values[0].device)
    return [value.to(device) for value in values]


def _unary(function: Callable[[Tensor], Tensor], node: Node, values: Tensor) -> Tensor:
    return function(values)


def _binary(function: Callable[[Tensor, Tensor], Tensor], node: Node, *values: Tensor) -> Tensor:
    return reduce(function, together(*values))


def _reduce(function: Callable[..., Tensor], node: Node, values: Tensor, axes: Tensor | None = None) -> Tensor:
    listed = node.setting(axes, "axes")
    if not listed and node.get("noop_with_empty_axes", 0):
        return values
    return function(values, dim=axes_of(listed or None, values.ndim), keepdim=bool(node.get("keepdims", 1)))


OPERATORS.update({name: partial(_unary, function) for name, function in UNARY.items()})
OPERATORS.update({name: partial(_binary, function) for name, function in BINARY.items()})
OPERATORS.update({name: partial(_reduce, function) for name, function in REDUCTIONS.items()})


@operator("Div")
def div(node: Node, left: Tensor, right: Tensor) -> Tensor:
    """Divide; whole numbers are cut off towards zero."""
    left, right = together(left, right)
    is_whole = not left.is_floating_point() and not right.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if is_whole else None)


@operator("Mod")
def mod(node: Node, left: Tensor, right: Tensor) -> Tensor:
    """Return the remainder, with the sign of the divisor, or of the dividend with `fmod`."""
    return (torch.fmod if node.get("fmod", 0) else torch.remainder)(*together(left, right))


@operator("Mean")
def mean(node: Node, *values: Tensor) -> Tensor:
    """Take the mean of several values."""
    return reduce(torch.add, values) / len(values)


@operator("Where")
def where(node: Node, condition: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Choose by a condition."""
    return torch.where(*together(condition, left, right))


@operator("Clip")
def clip(node: Node, values: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Limit values from below and above."""
    lowest, highest = node.setting(low, "min"), node.setting(high, "max")
    return values if lowest is None and highest is None else torch.clamp(values, lowest, highest)


@operator("PRelu")
def prelu(node: Node, values: Tensor, slope: Tensor) -> Tensor:
    """Scale what is negative by slopes that broadcast."""
    return torch.where(values < 0, values * slope, values)


@operator("LeakyRelu")
def leaky_relu(node: Node, values: Tensor) -> Tensor:
    """Scale what is negative."""
    return functional.leaky_relu(values, node.get("alpha", 0.01))


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, values: Tensor) -> Tensor:
    """Keep what is above a threshold."""
    return functional.threshold(values, node.get("alpha", 1.0), 0.0)


@operator("Elu", "Celu")
def elu(node: Node, values: Tensor) -> Tensor:
    """Apply the exponential linear unit; Celu stretches its curve too."""
    return (functional.celu if node.operator == "Celu" else functional.elu)(values, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, values: Tensor) -> Tensor:
    """Apply the scaled exponential linear unit."""
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * functional.elu(values, alpha)


@operator("Gelu")
def gelu(node: Node, values: Tensor) -> Tensor:
    """Apply the Gaussian error linear unit."""
    return functional.gelu(values, approximate=node.get("approximate", "none"))


@operator("HardSigmoid")
def hard_sigmoid(node: Node, values: Tensor) -> Tensor:
    """Apply a straight line between 0 and 1."""
    return torch.clamp(node.get("alpha", 0.2) * values + node.get("beta", 0.5), 0, 1)


@operator("Softmax", "LogSoftmax")
def softmax(node: Node, values: Tensor) -> Tensor:
    """Apply a softmax along an axis; before operator set 13 over that axis and all after it together."""
    function = torch.softmax if node.operator == "Softmax" else torch.log_softmax
    if node.opset >= 13:
        return function(values, node.get("axis", -1))
    axis = node.get("axis", 1) % values.ndim
    return function(values.flatten(axis), axis).reshape(values.shape)


@operator("ReduceProd")
def reduce_prod(node: Node, values: Tensor, axes: Tensor | None = None) -> Tensor:
    """Multiply along axes."""
    for axis in reversed(axes_of(node.setting(axes, "axes"), values.ndim)):
        values = values.prod(dim=axis, keepdim=bool(node.get("keepdims", 1)))
    return values


@operator("ArgMax", "ArgMin")
def arg_extreme(node: Node, values: Tensor) -> Tensor:
    """Return the index of the largest, or smallest, value along an axis."""
    if node.get("select_last_index", 0):
        raise Unsupported("the last of equal values")
    function = torch.argmax if node.operator == "ArgMax" else torch.argmin
    return function(values, dim=node.get("axis", 0), keepdim=bool(node.get("keepdims", 1)))


@operator("CumSum")
def cumulative_sum(node: Node, values: Tensor, axis: Tensor) -> Tensor:
    """Add up along an axis."""
    if node.get("exclusive", 0) or node.get("reverse", 0):
        raise Unsupported("sums that run backwards or leave out their last value")
    return torch.cumsum(values, int(axis))
