"""Blacken parts of an image. Every image is `(H, W, C)`, uint8 or float32."""

import numpy as np

from app.augment.ops.registry import chance, image_operation, seed, uniform
from app.augment.randomness import pixel_generator


@image_operation("AugCoarseDropout", p=uniform, drop_size=uniform, per_channel=chance, seed=seed)
def coarse_dropout(image: np.ndarray, p: float, drop_size: float, per_channel: bool, seed: int) -> np.ndarray:
    """Blacken each cell of a regular grid with probability `p`, or with `p` / channels in each channel by itself.

    Cells are `drop_size` times the image's width and height, rounded down, at least a pixel; those at the right and
    lower edge are cut off.
    """
    height, width, channels = image.shape
    cell_height = max(1, int(height * drop_size))
    cell_width = max(1, int(width * drop_size))
    grid = (-(-height // cell_height), -(-width // cell_width), channels if per_channel else 1)
    is_kept = pixel_generator(seed).random(grid, dtype=np.float32) >= p / grid[2]
    if is_kept.all():
        return image
    # Spread over channels, columns and rows, the factors lie in memory as the image does: one product at full speed.
    factors = np.broadcast_to(is_kept, (*grid[:2], channels)).astype(image.dtype)
    return image * factors.repeat(cell_width, axis=1)[:, :width].repeat(cell_height, axis=0)[:height]
