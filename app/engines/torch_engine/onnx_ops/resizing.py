"""ONNX's Resize and Upsample, axis by axis: every mode and every rule for where a pixel lies."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.engines.torch_engine.onnx_ops.registry import Node, Unsupported, operator

CUBIC = -0.75


@operator("Upsample")
def upsample(node: Node, images: Tensor, scales: Tensor | None = None) -> Tensor:
    """Resize as before operator set 10: pixels lie at their upper left corners."""
    return _resized(node, images, node.setting(scales, "scales"), None, "asymmetric")


@operator("Resize")
def resize(
    node: Node,
    images: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Resize by scales or to sizes."""
    if node.opset < 11:
        return _resized(node, images, node.setting(roi, "scales"), None, "asymmetric")
    if node.get("antialias", 0) or node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("smoothing (antialias) or keeping the aspect ratio")
    if node.get("exclude_outside", 0):
        raise Unsupported("pixels outside left out of the weights (exclude_outside)")
    factors = scales.tolist() if scales is not None and scales.numel() else None
    wanted = sizes.tolist() if sizes is not None and sizes.numel() else None
    axes = node.get("axes")
    if axes is not None:
        factors = factors and _spread(factors, axes, [1.0] * images.ndim)
        wanted = wanted and _spread(wanted, axes, list(images.shape))
    return _resized(node, images, factors, wanted, node.get("coordinate_transformation_mode", "half_pixel"))


def _spread(values: list, axes: Sequence[int], result: list) -> list:
    for value, axis in zip(values, axes, strict=True):
        result[axis] = value
    return result


def _resized(node: Node, images: Tensor, factors: list[float] | None, wanted: list[int] | None, rule: str) -> Tensor:
    """Resize each axis; `factors` and `wanted` have one entry for each of them."""
    if factors is None:
        if wanted is None:
            raise Unsupported("neither scales nor sizes")
        factors = [want / extent for want, extent in zip(wanted, images.shape, strict=True)]
    targets = wanted or [int(extent * factor) for extent, factor in zip(images.shape, factors, strict=True)]
    targets[0] = images.shape[0]  # a size that the file has for its fixed batch
    mode = node.get("mode", "nearest")
    quick = _by_torch(images, mode, rule, factors, targets, node)
    if quick is not None:
        return quick
    for axis in range(1, images.ndim):
        if targets[axis] != images.shape[axis]:
            places = _places(targets[axis], images.shape[axis], factors[axis], rule).to(images.device)
            images = RESAMPLERS[mode](images, axis, places, node)
    return images


def _by_torch(
    images: Tensor, mode: str, rule: str, factors: Sequence[float], targets: Sequence[int], node: Node
) -> Tensor | None:
    """Resize by torch's own function where it does the same, which is quicker."""
    is_whole = all(
        target == extent * factor for target, extent, factor in zip(targets, images.shape, factors, strict=True)
    )
    if images.ndim != 4 or not is_whole or targets[1] != images.shape[1]:
        return None
    if mode == "linear" and rule in ("half_pixel", "pytorch_half_pixel", "align_corners") and min(targets[2:]) > 1:
        return functional.interpolate(images, targets[2:], mode="bilinear", align_corners=rule == "align_corners")
    is_repeating = all(target % extent == 0 for target, extent in zip(targets, images.shape, strict=True))
    rounding = node.get("nearest_mode", "round_prefer_floor")
    if mode == "nearest" and is_repeating and (
        (rule == "asymmetric" and rounding == "floor") or (rule == "half_pixel" and rounding.startswith("round"))
    ):  # fmt: skip
        return functional.interpolate(images, targets[2:], mode="nearest")
    return None


def _places(target: int, extent: int, factor: float, rule: str) -> Tensor:
    """Return where each new pixel lies among the old ones, float32 `(target,)`."""
    steps = torch.arange(target, dtype=torch.float32)
    if rule == "asymmetric":
        return steps / factor
    if rule == "align_corners":
        return steps * ((extent - 1) / (target - 1)) if target > 1 else steps * 0
    if rule == "tf_half_pixel_for_nn":
        return (steps + 0.5) / factor
    if rule == "pytorch_half_pixel" and target == 1:
        return steps * 0
    if rule == "half_pixel_symmetric":
        adjustment = target / (factor * extent)
        return extent / 2 * (1 - adjustment) + (steps + 0.5) / factor - 0.5
    if rule in ("half_pixel", "pytorch_half_pixel"):
        return (steps + 0.5) / factor - 0.5
    raise Unsupported(f"pixels that lie as {rule!r} says")


def _nearest(images: Tensor, axis: int, places: Tensor, node: Node) -> Tensor:
    rounding = "floor" if node.opset < 11 else node.get("nearest_mode", "round_prefer_floor")
    if rounding == "floor":
        chosen = places.floor()
    elif rounding == "ceil":
        chosen = places.ceil()
    elif rounding == "round_prefer_floor":
        chosen = (places - 0.5).ceil()
    else:
        chosen = (places + 0.5).floor()
    return images.index_select(axis, chosen.long().clamp(0, images.shape[axis] - 1))


def _linear(images: Tensor, axis: int, places: Tensor, node: Node) -> Tensor:
    last = images.shape[axis] - 1
    places = places.clamp(0, last)
    low = places.floor().long()
    share = (places - low).reshape(-1, *[1] * (images.ndim - 1 - axis))
    first, second = images.index_select(axis, low), images.index_select(axis, (low + 1).clamp(max=last))
    return first * (1 - share) + second * share


def _cubic(images: Tensor, axis: int, places: Tensor, node: Node) -> Tensor:
    last = images.shape[axis] - 1
    factor = node.get("cubic_coeff_a", CUBIC)
    low = places.floor()
    share = places - low
    result: Tensor | None = None
    for offset in (-1, 0, 1, 2):
        distance = (share - offset).abs()
        near = ((factor + 2) * distance - (factor + 3)) * distance**2 + 1
        far = factor * (((distance - 5) * distance + 8) * distance - 4)
        weight = torch.where(distance <= 1, near, far).reshape(-1, *[1] * (images.ndim - 1 - axis))
        part = weight * images.index_select(axis, (low.long() + offset).clamp(0, last))
        result = part if result is None else result + part
    assert result is not None  # there are four offsets
    return result


RESAMPLERS = {"nearest": _nearest, "linear": _linear, "bilinear": _linear, "cubic": _cubic}
