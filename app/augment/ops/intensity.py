"""Operations on the values of an image. uint8 results are truncated as in ECVL, whose formulas these are.

Every image is `(H, W, C)`, uint8 in 0..255 or float32; masks are `(H, W)` or `None`.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from app.augment.ops.pixels import look_up, map_values, saturated, with_channels
from app.augment.ops.registry import image_operation, paired_operation, uniform
from app.errors import JobFailure

_LEVELS = np.arange(256.0)
# What is written may be too much for a number, or 0 to divide by: the result is then infinite, as ECVL has it.
_NO_WARNINGS: dict[str, Any] = {"divide": "ignore", "invalid": "ignore", "over": "ignore"}
_SHARPEST = 1e-3  # standard deviation in pixels below which a blur changes nothing, and its square may be no number
_LEVEL_TYPE = np.dtype(np.uint8)
_CHANNEL_AXIS = 2


@image_operation("AugBrightness", beta=uniform)
def brightness(image: np.ndarray, beta: float) -> np.ndarray:
    """Add `beta` grey levels."""
    return map_values(image, lambda values: values + beta)


@image_operation("AugGammaContrast", gamma=uniform)
def gamma_contrast(image: np.ndarray, gamma: float) -> np.ndarray:
    """Map each value to 255 * (value / 255) ** gamma; floating-point images are taken as 0..255 too."""
    return map_values(image, lambda values: np.power(values / 255, gamma) * 255)


@image_operation("AugGaussianBlur", sigma=uniform)
def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur with a kernel that is as wide as `sigma` pixels ask for; edges are replicated, uint8 truncated."""
    width = int(((sigma - 0.8) / 0.3 + 1) / 0.5 + 1)
    width = max(3, width + 1 - width % 2)
    kernel = _gaussian_kernel(width, sigma if sigma > 0 else 0.3 * ((width - 1) * 0.5 - 1) + 0.8)
    blurred = cv2.sepFilter2D(
        image, cv2.CV_64F, kernel, kernel, anchor=(width // 2, width // 2), borderType=cv2.BORDER_REPLICATE
    )
    # A mean of values needs no limits.
    return with_channels(blurred.astype(image.dtype))


@image_operation("AugNormalize")
def normalize(image: np.ndarray, mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> np.ndarray:
    """Compute (value - mean) / std, with one mean and std or one for each channel.

    Raises:
        JobFailure: if a vector does not have one value per channel.
    """
    if isinstance(mean, tuple) and len(mean) != image.shape[_CHANNEL_AXIS]:
        raise JobFailure(
            f"AugNormalize has {len(mean)} values of mean and std, but the image has "
            f"{image.shape[_CHANNEL_AXIS]} channel(s); one value per channel is needed."
        )
    if image.dtype == np.uint8:
        return look_up(image, _normal_levels(mean, std))
    height, width, channels = image.shape
    with np.errstate(**_NO_WARNINGS):
        # In one dimension for all columns and channels: NumPy is slow on a last dimension of a few.
        mean_row, std_row = (np.resize(np.asarray(part, np.float32), width * channels) for part in (mean, std))
        normalized = image.reshape(height, -1) - mean_row
        normalized /= std_row
    return normalized.reshape(image.shape)


@paired_operation("AugToFloat32")
def to_float32(image, mask, divisor: float, divisor_gt: float | None, *, scale_mask: bool):
    """Convert to float32 and divide; a mask of grey values too, by its own divisor or the same."""
    if mask is not None and scale_mask:
        mask = _quotient(mask, divisor if divisor_gt is None else divisor_gt)
    return _quotient(image, divisor), mask


@paired_operation("AugDivBy255")
def divide_by_255(image, mask, *, scale_mask: bool):
    """Divide by 255 in the type of the image (uint8: 255 becomes 1, all else 0); a mask of grey values too."""
    if mask is not None and scale_mask:
        mask = map_values(mask, lambda values: values / 255)
    return map_values(image, lambda values: values / 255), mask


@image_operation("AugScaleTo")
def scale_to(image: np.ndarray, new_min: float, new_max: float) -> np.ndarray:
    """Stretch the values from the image's own range to a new one; an image of one value becomes `new_min`."""
    old_min, old_max = float(image.min()), float(image.max())
    if old_min == old_max:
        return saturated(np.full(image.shape, new_min), image.dtype)
    slope = (new_max - new_min) / (old_max - old_min)
    with np.errstate(**_NO_WARNINGS):
        return map_values(image, lambda values: values * slope + (new_max - slope * old_max))


@image_operation("AugScaleFromTo")
def scale_from_to(image: np.ndarray, old_min: float, old_max: float, new_min: float, new_max: float) -> np.ndarray:
    """Limit the values to one range, then map that to another."""
    if image.dtype == np.uint8:
        return look_up(image, _scaled_levels(old_min, old_max, new_min, new_max))
    return saturated(_scaled(image.astype(np.float64), image.dtype, old_min, old_max, new_min, new_max), image.dtype)


def _scaled(values: np.ndarray, dtype: np.dtype, old_min: float, old_max: float, new_min: float, new_max: float):
    slope = (new_max - new_min) / (old_max - old_min)
    # In the type of the image, as ECVL has it: on uint8 a limit of 10.5 sets values to 10.
    low, high = saturated(np.array([old_min, old_max]), dtype).astype(np.float64)
    limited = np.where(values < old_min, low, np.where(values > old_max, high, values))
    with np.errstate(**_NO_WARNINGS):
        return limited * slope + (new_max - slope * old_max)


# The tables of operations that draw nothing are the same for every image of a training.


@lru_cache
def _scaled_levels(old_min: float, old_max: float, new_min: float, new_max: float) -> np.ndarray:
    return saturated(_scaled(_LEVELS, _LEVEL_TYPE, old_min, old_max, new_min, new_max), _LEVEL_TYPE)


@lru_cache
def _normal_levels(mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> np.ndarray:
    with np.errstate(**_NO_WARNINGS):
        levels = (_LEVELS[:, np.newaxis] - np.asarray(mean)) / np.asarray(std)
    return saturated(levels, _LEVEL_TYPE).reshape(1, 256, -1)


@lru_cache
def _quotient_levels(divisor: float) -> np.ndarray:
    with np.errstate(**_NO_WARNINGS):
        return saturated(_LEVELS / divisor, np.dtype(np.float32))


def _gaussian_kernel(width: int, sigma: float) -> np.ndarray:
    """Compute `width` weights, and one more that is 0.

    The one more keeps OpenCV from its symmetric filter, whose order of summing shows after truncation.
    """
    distances = np.arange(-(width // 2), width // 2 + 1)
    kernel = np.zeros(width + 1)
    sigma = max(sigma, _SHARPEST)
    np.exp(-(distances**2) / (2 * sigma * sigma), out=kernel[:-1])
    # A running sum: `np.sum` adds in pairs, and the last bit matters too.
    kernel /= kernel.cumsum()[-1]
    return kernel


def _quotient(image: np.ndarray, divisor: float) -> np.ndarray:
    if image.dtype == np.uint8:
        return look_up(image, _quotient_levels(divisor))
    with np.errstate(**_NO_WARNINGS):
        return image / np.float32(divisor)
