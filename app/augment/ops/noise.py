"""Noise on the values of an image, random per pixel. Every image is `(H, W, C)`, uint8 or float32."""

import cv2
import numpy as np

from app.augment.ops.pixels import saturated
from app.augment.ops.registry import chance, image_operation, pixel_generator, seed, uniform


@image_operation("AugAdditiveLaplaceNoise", std_dev=uniform, seed=seed)
def laplace_noise(image: np.ndarray, std_dev: float, seed: int) -> np.ndarray:
    """Add the difference of two exponential variables of mean `std_dev`, so of standard deviation 1.41 `std_dev`."""
    generator = pixel_generator(seed)
    noise = generator.standard_exponential(image.shape, dtype=np.float32)
    noise -= generator.standard_exponential(image.shape, dtype=np.float32)
    noise *= np.float32(std_dev)
    noise += image
    return saturated(noise, image.dtype)


@image_operation("AugAdditivePoissonNoise", seed=seed, **{"lambda": uniform})
def poisson_noise(image: np.ndarray, seed: int, **drawn: float) -> np.ndarray:
    """Add a Poisson variable of mean `lambda` (a keyword of Python, hence `drawn`) to each value."""
    noise = pixel_generator(seed).poisson(drawn["lambda"], image.shape)
    if image.dtype == np.uint8:
        return cv2.add(image, np.minimum(noise, 255).astype(np.uint8)).reshape(image.shape)
    return image + noise.astype(np.float32)


@image_operation("AugSalt", p=uniform, per_channel=chance, seed=seed)
def salt(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 255 with probability `p`."""
    return np.where(_lottery(image, per_channel, seed) < p, image.dtype.type(255), image)


@image_operation("AugPepper", p=uniform, per_channel=chance, seed=seed)
def pepper(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 0 with probability `p`."""
    return np.where(_lottery(image, per_channel, seed) < p, image.dtype.type(0), image)


@image_operation("AugSaltAndPepper", p=uniform, per_channel=chance, seed=seed)
def salt_and_pepper(image: np.ndarray, p: float, per_channel: bool, seed: int) -> np.ndarray:
    """Set values to 0 or 255 with probability `p`, half of them each."""
    lots = _lottery(image, per_channel, seed)
    grains = np.where(lots < p / 2, image.dtype.type(255), image.dtype.type(0))
    return np.where(lots < p, grains, image)


def _lottery(image: np.ndarray, per_channel: bool, seed: int) -> np.ndarray:
    """Draw from [0, 1) for each value `(H, W, C)`, or for each pixel `(H, W, 1)`."""
    shape = image.shape if per_channel else (*image.shape[:2], 1)
    return pixel_generator(seed).random(shape, dtype=np.float32)
