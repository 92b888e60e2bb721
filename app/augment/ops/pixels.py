"""Number types and shapes that all operations treat alike: what ECVL's arithmetic and OpenCV's calls do with them."""

from collections.abc import Callable

import cv2
import numpy as np

_LEVELS = np.arange(256.0)
_MOST_CHANNELS_AT_ONCE = 4
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def with_channels(image: np.ndarray) -> np.ndarray:
    """Give a `(H, W)` result of OpenCV, which drops single channels, its channel axis back."""
    return image[:, :, np.newaxis] if image.ndim == 2 else image


def in_fours(image: np.ndarray, call: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Make a call of OpenCV's that takes at most four channels, on `(H, W)` or `(H, W, C)` with any number of them."""
    if image.ndim == 2:
        return call(image)
    if image.shape[2] <= _MOST_CHANNELS_AT_ONCE:
        return with_channels(call(image))
    starts = range(0, image.shape[2], _MOST_CHANNELS_AT_ONCE)
    groups = [image[:, :, start : start + _MOST_CHANNELS_AT_ONCE] for start in starts]
    return np.concatenate([with_channels(call(np.ascontiguousarray(group))) for group in groups], axis=2)


def saturated(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert as ECVL does: limited to what the type holds, then truncated toward zero (not rounded); NaN becomes 0.

    Args:
        values: any shape, floating point; may be changed.
        dtype: uint8 or a floating type.
    """
    if dtype == np.uint8:
        # Unlike `clip`, these two turn NaN into the limit.
        return np.fmin(np.fmax(values, 0, out=values), 255, out=values).astype(np.uint8)
    return np.clip(values, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)


def map_values(image: np.ndarray, formula: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a formula to each value: by a table of 256 entries on uint8, in double precision on floating point.

    Args:
        image: any shape, uint8 or float32.
        formula: what happens to an array of float64 values, none of which may be changed.
    """
    if image.dtype == np.uint8:
        return look_up(image, saturated(formula(_LEVELS), image.dtype))
    return saturated(formula(image.astype(np.float64)), image.dtype)


def look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace each uint8 value by its entry of a table with 256 entries; shape kept, type of the table."""
    return cv2.LUT(image, table).reshape(image.shape)
