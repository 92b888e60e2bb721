"""Noise on the values of an image, random per pixel. Every image is `(H, W, C)`, uint8 or float32."""

import cv2
import numpy as np

from app.augment.ops.pixels import saturated
from app.augment.ops.registry import chance, image_operation, seed, uniform
from app.augment.randomness import pixel_generator

_LEVELS = np.arange(-255, 256, dtype=np.int16)  # noise beyond them makes 0 or 255 of every value
_COUNTS = np.arange(256.0)
_LOGS_OF_FACTORIALS = np.cumsum(np.log(np.maximum(_COUNTS, 1)))
_LEAST_NOISE = 1e-15  # adding less changes no number from 1 up
_TABLE_SIZE = 1 << 16


@image_operation("AugAdditiveLaplaceNoise", std_dev=uniform, seed=seed)
def laplace_noise(image: np.ndarray, std_dev: float, seed: int) -> np.ndarray:
    """Add the difference of two exponential variables of mean `std_dev`, so of standard deviation 1.41 `std_dev`."""
    if std_dev < _LEAST_NOISE:
        return image
    if image.dtype == np.uint8:
        # A sum is truncated, so what counts is the noise's floor: level k stands for noise from k to k + 1.
        upper_ends = (_LEVELS + 1) / std_dev
        tails = np.exp(-np.abs(upper_ends)) / 2
        return _with_whole_levels(image, _LEVELS, np.where(upper_ends < 0, tails, 1 - tails), seed)
    generator = pixel_generator(seed)
    noise = generator.standard_exponential(image.shape, dtype=np.float32)
    noise -= generator.standard_exponential(image.shape, dtype=np.float32)
    noise *= np.float32(std_dev)
    noise += image
    return saturated(noise, image.dtype)


@image_operation("AugAdditivePoissonNoise", seed=seed, **{"lambda": uniform})
def poisson_noise(image: np.ndarray, seed: int, **drawn: float) -> np.ndarray:
    """Add a Poisson variable of mean `lambda` (a keyword of Python, hence `drawn`) to each value."""
    mean = drawn["lambda"]
    if mean < _LEAST_NOISE:
        return image
    if image.dtype == np.uint8:
        probabilities = np.exp(_COUNTS * np.log(mean) - mean - _LOGS_OF_FACTORIALS)
        return _with_whole_levels(image, _LEVELS[255:], np.cumsum(probabilities), seed)
    return image + pixel_generator(seed).poisson(mean, image.shape).astype(np.float32)


@image_operation("AugSalt", p=uniform, per_channel=chance, seed=seed)
def salt(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 255 with probability `p`."""
    is_grain = _lottery(image, per_channel, seed) < p
    if image.dtype == np.uint8:
        return cv2.bitwise_or(_rows(image), _ones(is_grain, image)).reshape(image.shape)
    return np.where(is_grain, np.float32(255), image)


@image_operation("AugPepper", p=uniform, per_channel=chance, seed=seed)
def pepper(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 0 with probability `p`."""
    is_kept = _lottery(image, per_channel, seed) >= p
    if image.dtype == np.uint8:
        return cv2.bitwise_and(_rows(image), _ones(is_kept, image)).reshape(image.shape)
    return np.where(is_kept, image, np.float32(0))


@image_operation("AugSaltAndPepper", p=uniform, per_channel=chance, seed=seed)
def salt_and_pepper(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 0 or 255 with probability `p`, half of them each."""
    lots = _lottery(image, per_channel, seed)
    if image.dtype == np.uint8:
        kept = cv2.bitwise_and(_rows(image), _ones(lots >= p, image))
        return cv2.bitwise_or(kept, _ones(lots < p / 2, image)).reshape(image.shape)
    return np.where(lots < p, np.where(lots < p / 2, np.float32(255), np.float32(0)), image)


def _with_whole_levels(image: np.ndarray, levels: np.ndarray, cumulative: np.ndarray, seed: int) -> np.ndarray:
    """Add random levels to the values of a uint8 image, each value's by itself; sums are limited to 0..255.

    The levels are looked up in a table by random numbers of 16 bits, so that probabilities are rounded to 1 / 65536.

    Args:
        image: what to add to.
        levels: whole numbers in their order; the last one stands for all higher ones.
        cumulative: the probability of each level or a lower one.
        seed: what makes the draws.
    """
    ends = np.rint(cumulative * _TABLE_SIZE).astype(np.intp)
    ends[-1] = _TABLE_SIZE
    table = levels.repeat(np.diff(ends, prepend=0))
    words = pixel_generator(seed).bit_generator.random_raw(-(-image.size // 4))
    rows = _rows(image)
    noise = table.take(words.view(np.uint16)[: image.size].reshape(rows.shape))
    return cv2.add(rows, noise, dtype=cv2.CV_8U).reshape(image.shape)


def _lottery(image: np.ndarray, per_channel: bool, seed: int) -> np.ndarray:
    """Draw from [0, 1) for each value `(H, W, C)`, or for each pixel `(H, W, 1)`."""
    shape = image.shape if per_channel else (*image.shape[:2], 1)
    return pixel_generator(seed).random(shape, dtype=np.float32)


def _rows(image: np.ndarray) -> np.ndarray:
    """See an image as one channel, `(H, W * C)`: fast in OpenCV for any number of channels."""
    return image.reshape(image.shape[0], -1)


def _ones(is_set: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Make rows as `_rows(image)` has, with all bits of a value where `(H, W, C)` or `(H, W, 1)` is set."""
    bits = np.negative(is_set.view(np.uint8))
    if bits.shape[2] < image.shape[2]:
        bits = cv2.merge([bits] * image.shape[2])
    return _rows(bits)
