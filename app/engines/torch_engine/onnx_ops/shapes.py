"""ONNX operators that move values, or compute with shapes."""

import torch
from torch import Tensor
from torch.nn import functional

from app.engines.torch_engine.onnx_ops.arithmetic import together
from app.engines.torch_engine.onnx_ops.registry import Node, Unsupported, axes_of, operator

# The narrower and wider floating-point numbers become float32, as weights are kept and trained.
TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float32,
    11: torch.float32,
    16: torch.float32,
}
PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Identity")
def identity(node: Node, values: Tensor) -> Tensor:
    """Return the values."""
    return values


@operator("Cast")
def cast(node: Node, values: Tensor) -> Tensor:
    """Change the type of numbers."""
    if node.get("to") not in TYPES:
        raise Unsupported(f"numbers of type {node.get('to')}")
    return values.to(TYPES[node.get("to")])


@operator("CastLike")
def cast_like(node: Node, values: Tensor, like: Tensor) -> Tensor:
    """Change the type of numbers to that of others."""
    return values.to(like.dtype)


@operator("Shape")
def shape(node: Node, values: Tensor) -> Tensor:
    """Return the shape."""
    return torch.tensor(tuple(values.shape)[node.get("start", 0) : node.get("end")], dtype=torch.int64)


@operator("Size")
def size(node: Node, values: Tensor) -> Tensor:
    """Return the number of elements."""
    return torch.tensor(values.numel(), dtype=torch.int64)


@operator("ConstantOfShape")
def constant_of_shape(node: Node, sizes: Tensor) -> Tensor:
    """Fill a shape with one value."""
    value = node.get("value")
    number = 0.0 if value is None else value.reshape(()).item()
    return torch.full(sizes.tolist(), number, dtype=torch.float32 if value is None else value.dtype)


@operator("Range")
def numbers(node: Node, start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """Count from a number to another."""
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


@operator("Reshape")
def reshape(node: Node, values: Tensor, sizes: Tensor | None = None) -> Tensor:
    """Lay values out anew; a first size that is the file's fixed batch becomes that of the images."""
    wanted = node.setting(sizes, "shape")
    if not node.get("allowzero", 0):
        wanted = [values.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    batch = node.owner.batch
    if wanted and wanted[0] == node.owner.fixed_batch and values.ndim and values.shape[0] == batch:
        wanted[0] = batch
    return values.reshape(wanted)


@operator("Flatten")
def flatten(node: Node, values: Tensor) -> Tensor:
    """Make a matrix of all axes before one, and of all from it on."""
    axis = node.get("axis", 1)
    if axis == 1 and values.ndim > 1:
        return values.flatten(1)
    rows = 1
    for extent in values.shape[: axis if axis >= 0 else values.ndim + axis]:
        rows *= extent
    return values.reshape(rows, -1)


@operator("Transpose")
def transpose(node: Node, values: Tensor) -> Tensor:
    """Change the order of axes; by default reverse it."""
    return values.permute(node.get("perm") or list(reversed(range(values.ndim))))


@operator("Squeeze")
def squeeze(node: Node, values: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of size 1."""
    listed = node.setting(axes, "axes")
    if listed is None:
        listed = [axis for axis, extent in enumerate(values.shape) if extent == 1]
    for axis in reversed(axes_of(listed, values.ndim)):
        values = values.squeeze(axis)
    return values


@operator("Unsqueeze")
def unsqueeze(node: Node, values: Tensor, axes: Tensor | None = None) -> Tensor:
    """Add axes of size 1."""
    listed = node.setting(axes, "axes")
    listed = listed if isinstance(listed, list) else [listed]
    for axis in axes_of(listed, values.ndim + len(listed)):
        values = values.unsqueeze(axis)
    return values


@operator("Concat")
def concat(node: Node, *values: Tensor) -> Tensor:
    """Join values along an axis; what the file has for its fixed batch is repeated for that of the images."""
    parts = together(*values)
    axis = node.get("axis", 0) % parts[0].ndim
    batch = max(part.shape[0] for part in parts) if parts[0].ndim > 1 and axis != 0 else None
    if batch is not None:
        parts = [part if part.shape[0] != 1 else part.expand(batch, *part.shape[1:]) for part in parts]
    return torch.cat(parts, dim=axis)


@operator("Split")
def split(node: Node, values: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """Cut values along an axis, into parts of these sizes or into as many equal parts as there are outputs."""
    axis = node.get("axis", 0)
    listed = node.setting(sizes, "split")
    if listed is None:
        listed = -(-values.shape[axis] // len(node.outputs))
    return torch.split(values, listed, dim=axis)


@operator("Slice")
def cut(
    node: Node,
    values: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Cut ranges out of axes, also backwards."""
    begins, limits = node.setting(starts, "starts"), node.setting(ends, "ends")
    chosen = node.setting(axes, "axes") or range(len(begins))
    strides = steps.tolist() if steps is not None else [1] * len(begins)
    for axis, begin, limit, stride in zip(chosen, begins, limits, strides, strict=True):
        positions = range(*slice(begin, _open_end(limit, stride), stride).indices(values.shape[axis]))
        if stride == 1:
            values = values.narrow(axis, positions.start if positions else 0, len(positions))
        else:
            values = values.index_select(axis, torch.tensor(list(positions), dtype=torch.int64, device=values.device))
    return values


def _open_end(limit: int, stride: int) -> int | None:
    """Return the end of a slice as Python has it: a backwards one that takes the first element too has no end."""
    return None if stride < 0 and limit < -(2**30) else limit


@operator("Gather")
def gather(node: Node, values: Tensor, indices: Tensor) -> Tensor:
    """Take elements of an axis by their indexes."""
    axis = node.get("axis", 0) % values.ndim
    chosen = indices.to(values.device).long()
    chosen = torch.where(chosen < 0, chosen + values.shape[axis], chosen)
    taken = values.index_select(axis, chosen.reshape(-1))
    return taken.reshape((*values.shape[:axis], *chosen.shape, *values.shape[axis + 1 :]))


@operator("GatherElements")
def gather_elements(node: Node, values: Tensor, indices: Tensor) -> Tensor:
    """Take one element for each index."""
    axis = node.get("axis", 0)
    chosen = indices.to(values.device).long()
    return torch.gather(values, axis, torch.where(chosen < 0, chosen + values.shape[axis], chosen))


@operator("Expand")
def expand(node: Node, values: Tensor, sizes: Tensor) -> Tensor:
    """Repeat axes of size 1."""
    return values.expand(torch.broadcast_shapes(values.shape, tuple(sizes.tolist())))


@operator("Tile")
def tile(node: Node, values: Tensor, repeats: Tensor) -> Tensor:
    """Repeat axes."""
    return values.repeat(repeats.tolist())


@operator("Pad")
def pad(
    node: Node,
    values: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Lay a border around; a negative one cuts off."""
    listed = node.setting(pads, "pads") or node.get("paddings")
    chosen = [axis % values.ndim for axis in axes.tolist()] if axes is not None else list(range(values.ndim))
    borders = [[0, 0] for _ in range(values.ndim)]
    for position, axis in enumerate(chosen):
        borders[axis] = [listed[position], listed[position + len(chosen)]]
    flat = [pixels for axis in reversed(borders) for pixels in axis]
    mode = PAD_MODES[node.get("mode", "constant")]
    if mode == "constant":
        filling = node.setting(value.reshape(()) if value is not None else None, "value", 0.0)
        return functional.pad(values, flat, value=filling)
    while len(flat) > 2 and flat[-2:] == [0, 0] and len(flat) > 2 * (values.ndim - 2):
        flat = flat[:-2]  # torch pads the last axes only in these modes
    return functional.pad(values, flat, mode=mode)


@operator("DepthToSpace")
def depth_to_space(node: Node, images: Tensor) -> Tensor:
    """Turn channels into pixels."""
    block = node.get("blocksize")
    samples, channels, height, width = images.shape
    if node.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(images, block)
    parts = images.reshape(samples, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(samples, channels // block**2, height * block, width * block)


@operator("SpaceToDepth")
def space_to_depth(node: Node, images: Tensor) -> Tensor:
    """Turn pixels into channels."""
    block = node.get("blocksize")
    samples, channels, height, width = images.shape
    parts = images.reshape(samples, channels, height // block, block, width // block, block)
    order = (0, 1, 3, 5, 2, 4) if node.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return parts.permute(order).reshape(samples, channels * block**2, height // block, width // block)
