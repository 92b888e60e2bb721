"""What an augmentation text does to an image, as one picture: the original and some results, masks outlined."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.augment.pipeline import Pipeline
from app.augment.randomness import sample_generator
from app.datasets.formats.eight_bits import default_bits, stretch, value_range
from app.datasets.thumbnails import COLOURS

GAP_PX = 6
CAPTION_PX = 16
PAPER, INK = (255, 255, 255), (40, 40, 40)
MOST_SHADES = 16  # a mask with more values is one whose edges are smoothed


@dataclass(frozen=True)
class _Cell:
    """One result: no larger than the sheet needs it, and its true size."""

    title: str
    image: np.ndarray
    mask: np.ndarray | None
    height: int
    width: int


def preview(
    pipeline: Pipeline,
    image: np.ndarray,
    mask: np.ndarray | None,
    *,
    seed: int,
    index: int = 0,
    count: int = 8,
    side_px: int = 192,
    columns: int | None = None,
) -> bytes:
    """Return the PNG of an image and of what a training with this seed makes of it in the epochs 1 to `count`.

    All are drawn to one scale. Floating-point results from 0 to 1 are shown as 0 to 255, any others from the lowest to
    the highest value of all results together. Of more than three planes the first three are shown as red, green and
    blue; two as red and green. The same arguments give the same bytes.

    Args:
        pipeline: what is applied.
        image: `(H, W, C)`, uint8 or float32.
        mask: `(H, W)` uint8 of classes, 0 for what is not outlined; or None.
        seed: of the draws.
        index: of the sample that the image is.
        count: of the results.
        side_px: the longest side that an image is shown with.
        columns: of the sheet; by default about as many as rows.

    Raises:
        JobFailure: if an operation cannot be applied to this image.
    """
    cells = [_cell("original", default_bits(image), mask, side_px)]
    for epoch in range(1, count + 1):
        result, moved = pipeline(image, mask, sample_generator(seed, epoch, index))
        cells.append(_cell(str(epoch), result, moved, side_px))
    buffer = io.BytesIO()
    _sheet(cells, side_px, columns or math.ceil(math.sqrt(len(cells)))).save(buffer, "PNG")
    return buffer.getvalue()


def class_map(values: np.ndarray) -> np.ndarray:
    """Number the values of a mask by their order, 0 staying 0; of one with many shades the brighter half is 1.

    Args:
        values: `(H, W)`, zero or positive.

    Returns:
        `(H, W)` uint8.
    """
    found = np.unique(values)
    if len(found) > MOST_SHADES:
        return (values > found[-1] / 2).astype(np.uint8)
    return (np.searchsorted(found, values) + int(found[0] != 0)).astype(np.uint8)


def _cell(title: str, image: np.ndarray, mask: np.ndarray | None, side_px: int) -> _Cell:
    """Keep as much of a result as the sheet can show: a full one of many megapixels is not kept `count` times."""
    height, width = image.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    return _Cell(title, _scaled(_three_planes(image), scale), _scaled(mask, scale, is_mask=True), height, width)


def _three_planes(image: np.ndarray) -> np.ndarray:
    depth = image.shape[2]
    if depth == 2:
        image = np.concatenate([image, np.zeros_like(image[:, :, :1])], axis=2)
    return np.repeat(image, 3, axis=2) if depth == 1 else np.ascontiguousarray(image[:, :, :3])


def _scaled(pixels, scale: float, *, is_mask: bool = False):
    if pixels is None or scale == 1:
        return pixels
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
    is_coarse = is_mask or scale > 1  # enlarged, the pixels themselves are what there is to see
    return cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST if is_coarse else cv2.INTER_AREA)


def _sheet(cells: Sequence[_Cell], side_px: int, columns: int) -> Image.Image:
    largest = max(max(cell.height, cell.width) for cell in cells)
    rows = math.ceil(len(cells) / columns)
    step_x, step_y = side_px + GAP_PX, side_px + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (columns * step_x + GAP_PX, rows * step_y + GAP_PX), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    limits = _float_limits([cell.image for cell in cells])
    for position, cell in enumerate(cells):
        x = GAP_PX + position % columns * step_x
        y = GAP_PX + position // columns * step_y
        draw.text((x, y), f"{cell.title}   {cell.width} x {cell.height}", INK, font)
        longest = max(side_px * max(cell.height, cell.width) / largest, 1)
        scale = longest / max(cell.image.shape[:2])
        image = cell.image if cell.image.dtype == np.uint8 else stretch(cell.image, *limits)
        shown = _outlined(_scaled(image, scale), _scaled(cell.mask, scale, is_mask=True))
        sheet.paste(Image.fromarray(shown), (x, y + CAPTION_PX))
    return sheet


def _float_limits(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return what becomes black and white of the floating-point images."""
    ranges = [value_range(image) for image in images if image.dtype != np.uint8] or [(0.0, 1.0)]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _outlined(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Colour the pixels of each class that lie beside one of another class or at the image's edge."""
    if mask is None:
        return image
    framed = np.pad(mask, 1)
    centre = framed[1:-1, 1:-1]
    neighbours = framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]
    is_edge = (centre != 0) & np.logical_or.reduce([centre != neighbour for neighbour in neighbours])
    colours = np.array(COLOURS, np.uint8)
    outlined = image.copy()
    outlined[is_edge] = colours[(mask[is_edge] - 1) % len(colours)]
    return outlined
