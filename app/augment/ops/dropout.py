"""Blacken parts of an image. Every image is `(H, W, C)`, uint8 or float32."""

import numpy as np

from app.augment.ops.registry import chance, image_operation, pixel_generator, seed, uniform


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
    rows = np.arange(height) // cell_height
    columns = np.arange(width) // cell_width
    return image * is_kept[rows[:, np.newaxis], columns]
