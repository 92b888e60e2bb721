"""ONNX operators with weights, and those that pool: the layers of image networks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.engines.torch_engine.onnx_ops.registry import Node, Unsupported, operator
from app.engines.torch_engine.sharing import shared_batch_norm

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def padding_of(node: Node, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[list[int]]:
    """Return how many pixels a window pads before and after each of the spatial axes, which have these sizes."""
    rule = node.get("auto_pad", "NOTSET")
    if rule == "NOTSET":
        pads = node.get("pads") or [0] * (2 * len(kernel))
        return [[pads[axis], pads[axis + len(kernel)]] for axis in range(len(kernel))]
    if rule == "VALID":
        return [[0, 0] for _ in kernel]
    dilations = node.get("dilations") or [1] * len(kernel)
    result = []
    for size, extent, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (extent - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        result.append([less, more] if rule == "SAME_UPPER" else [more, less])
    return result


def flat_padding(padding: Sequence[Sequence[int]]) -> list[int]:
    """Return the padding as `functional.pad` takes it: the last axis first."""
    return [pixels for axis in reversed(padding) for pixels in axis]


@operator("Conv")
def conv(node: Node, images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve; padding that is not the same on both sides is laid around the images first."""
    axes = weight.ndim - 2
    strides = node.get("strides") or [1] * axes
    padding = padding_of(node, images.shape[2:], weight.shape[2:], strides)
    symmetric = [before for before, _ in padding]
    if any(before != after for before, after in padding):
        images, symmetric = functional.pad(images, flat_padding(padding)), [0] * axes
    dilations = node.get("dilations") or [1] * axes
    return CONVOLUTIONS[axes](images, weight, bias, strides, symmetric, dilations, node.get("group", 1))


@operator("ConvTranspose")
def conv_transpose(node: Node, images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve transposed, then cut off what the padding, or a wanted size, says."""
    axes = weight.ndim - 2
    strides = node.get("strides") or [1] * axes
    dilations = node.get("dilations") or [1] * axes
    result = TRANSPOSED[axes](images, weight, None, strides, 0, 0, node.get("group", 1), dilations)
    result = functional.pad(result, flat_padding([[0, pixels] for pixels in node.get("output_padding") or [0] * axes]))
    for axis, (before, after) in enumerate(_cuts(node, images, result, strides), start=2):
        if after < 0:
            border = [[0, 0]] * (axis - 2) + [[0, -after]] + [[0, 0]] * (axes + 1 - axis)
            result, after = functional.pad(result, flat_padding(border)), 0
        result = result.narrow(axis, before, result.shape[axis] - before - after)
    return result if bias is None else result + bias.reshape(-1, *[1] * axes)


def _cuts(node: Node, images: Tensor, result: Tensor, strides: Sequence[int]) -> list[list[int]]:
    """Return how many pixels to cut off before and after each spatial axis; a wanted size may take some more behind."""
    axes, rule, wanted = len(strides), node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if wanted is None and rule.startswith("SAME"):
        wanted = [size * stride for size, stride in zip(images.shape[2:], strides, strict=True)]
    if wanted is None:
        pads = node.get("pads") or [0] * (2 * axes)
        return [[pads[axis], pads[axis + axes]] for axis in range(axes)]
    totals = [size - want for size, want in zip(result.shape[2:], wanted[-axes:], strict=True)]
    # The standard's text and its runtimes differ on where the odd pixel goes; this is what onnxruntime does.
    halves = [max(total, 0) // 2 if rule != "SAME_LOWER" else -(-max(total, 0) // 2) for total in totals]
    return [[half, total - half] for half, total in zip(halves, totals, strict=True)]


@operator("Gemm")
def gemm(node: Node, left: Tensor, right: Tensor, added: Tensor | None = None) -> Tensor:
    """Multiply matrices, with factors and transpositions; a dense layer."""
    if node.get("transA", 0):
        left = left.T
    weight = right if node.get("transB", 0) else right.T
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if alpha == 1 and beta == 1 and (added is None or added.ndim == 1):
        return functional.linear(left, weight, added)
    product = alpha * functional.linear(left, weight)
    return product if added is None else product + beta * added


@operator("MatMul")
def matmul(node: Node, left: Tensor, right: Tensor) -> Tensor:
    """Multiply matrices, or stacks of them."""
    return torch.matmul(left, right)


@operator("Einsum")
def einsum(node: Node, *values: Tensor) -> Tensor:
    """Sum products as the equation says."""
    return torch.einsum(node.get("equation"), *values)


@operator("BatchNormalization")
def batch_normalization(
    node: Node, images: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """Normalise by the running statistics; in training by those of the batch, which the running ones then follow."""
    if not node.get("spatial", 1):
        raise Unsupported("statistics for each pixel (spatial=0)")
    if node.get("training_mode", 0):
        raise Unsupported("training_mode=1; export the network after model.eval()")
    follow, epsilon = 1 - node.get("momentum", 0.9), node.get("epsilon", 1e-5)
    if node.is_training and node.is_shared:
        return shared_batch_norm(images, mean, variance, scale, bias, follow, epsilon)
    is_lone = images.numel() == images.shape[1]  # and has no deviation
    is_learning = node.is_training and not is_lone
    return functional.batch_norm(images, mean, variance, scale, bias, is_learning, follow, epsilon)


@operator("InstanceNormalization")
def instance_normalization(node: Node, images: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalise each channel of each image."""
    return functional.instance_norm(images, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_normalization(node: Node, values: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Normalise over the axes from `axis` on."""
    axis = node.get("axis", -1) % values.ndim
    normal = functional.layer_norm(values, values.shape[axis:], eps=node.get("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


@operator("GroupNormalization")
def group_normalization(node: Node, images: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalise groups of channels; before operator set 21 scale and bias belong to groups, then to channels."""
    groups = node.get("num_groups")
    normal = functional.group_norm(images, groups, eps=node.get("epsilon", 1e-5))
    if len(scale) == groups != images.shape[1]:
        scale, bias = (value.repeat_interleave(images.shape[1] // groups) for value in (scale, bias))
    shape = (-1, *[1] * (images.ndim - 2))
    return normal * scale.reshape(shape) + bias.reshape(shape)


@operator("LRN")
def local_response_normalization(node: Node, images: Tensor) -> Tensor:
    """Normalise over neighbouring channels (AlexNet)."""
    size = node.get("size")
    squares = functional.pad((images * images).unsqueeze(1), (0, 0, 0, 0, (size - 1) // 2, size // 2))
    sums = functional.avg_pool3d(squares, (size, 1, 1), stride=1).squeeze(1) * size
    factor = node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * sums
    return images / factor ** node.get("beta", 0.75)


@operator("LpNormalization")
def lp_normalization(node: Node, values: Tensor) -> Tensor:
    """Divide by the norm along an axis."""
    return functional.normalize(values, p=node.get("p", 2), dim=node.get("axis", -1))


@operator("MaxPool")
def max_pool(node: Node, images: Tensor) -> Tensor:
    """Take the largest value of each window."""
    kernel, strides, padding = _window(node, images)
    symmetric = [before for before, _ in padding]
    if any(before != after or 2 * before > extent for (before, after), extent in zip(padding, kernel, strict=True)):
        images = functional.pad(images, flat_padding(padding), value=-torch.inf)
        symmetric = [0] * len(kernel)
    dilations = node.get("dilations") or [1] * len(kernel)
    return MAX_POOLS[len(kernel)](images, kernel, strides, symmetric, dilations, bool(node.get("ceil_mode", 0)))


@operator("AveragePool")
def average_pool(node: Node, images: Tensor) -> Tensor:
    """Take the mean of each window, with the padding counted or not."""
    kernel, strides, padding = _window(node, images)
    if any(dilation != 1 for dilation in node.get("dilations") or ()):
        raise Unsupported("windows with holes (dilations)")
    pool = AVERAGE_POOLS[len(kernel)]
    counts_padding, is_ceiled = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    if all(before == after and 2 * before <= extent for (before, after), extent in zip(padding, kernel, strict=True)):
        symmetric = [before for before, _ in padding]
        return pool(images, kernel, strides, symmetric, is_ceiled, counts_padding)
    sums = pool(functional.pad(images, flat_padding(padding)), kernel, strides, 0, is_ceiled)
    if counts_padding:
        return sums
    ones = functional.pad(images.new_ones(1, 1, *images.shape[2:]), flat_padding(padding))
    return sums / pool(ones, kernel, strides, 0, is_ceiled)


def _window(node: Node, images: Tensor) -> tuple[list[int], list[int], list[list[int]]]:
    kernel = node.get("kernel_shape")
    strides = node.get("strides") or [1] * len(kernel)
    return kernel, strides, padding_of(node, images.shape[2:], kernel, strides)


@operator("GlobalAveragePool")
def global_average_pool(node: Node, images: Tensor) -> Tensor:
    """Take the mean of each channel."""
    return images.mean(dim=tuple(range(2, images.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node, images: Tensor) -> Tensor:
    """Take the largest value of each channel."""
    return images.amax(dim=tuple(range(2, images.ndim)), keepdim=True)


@operator("Dropout")
def dropout(node: Node, values: Tensor, ratio: Tensor | None = None, mode: Tensor | None = None) -> Tensor:
    """Drop values in training."""
    share = node.setting(ratio, "ratio", 0.5)
    return functional.dropout(values, share, node.is_training)
