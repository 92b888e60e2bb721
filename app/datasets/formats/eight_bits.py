"""Bring numbers of any depth to the 8 bits that the networks are given."""

import numpy as np


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map `low` to 0 and `high` to 255, linearly; what lies outside is clipped, what is no number becomes 0.

    Where `low` is not below `high`, values above are 255 and all others 0.
    """
    if not low < high:
        return np.where(values > high, 255, 0).astype(np.uint8)
    scaled = np.clip(values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64), low, high)
    scaled -= low
    scaled /= high - low
    scaled *= 255
    return np.nan_to_num(np.rint(scaled, out=scaled), copy=False).astype(np.uint8)


def value_range(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest finite number; 0 and 0 where there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def default_bits(values: np.ndarray) -> np.ndarray:
    """Bring numbers to 8 bits by their type alone where it has a range, else by the range that is found.

    Unsigned 8 bits stay, unsigned 16 bits become the upper 8; of floats, 0..1 become 0..255; everything else is
    stretched from its smallest to its largest value.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)
    low, high = value_range(values)
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return stretch(values, low, high)
