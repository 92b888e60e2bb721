"""The numbers in the pixels of a mask, as its file holds them."""

import numpy as np
from PIL import Image, ImageOps

from app.datasets.probe import grey_step


def stored_values(image: Image.Image) -> np.ndarray:
    """Return `(H, W)` numbers, palette indexes included, or `(H, W, 3)` colours; upright and without alpha."""
    step = grey_step(image)
    upright = ImageOps.exif_transpose(image)
    numbers = np.asarray(upright.convert("RGB") if upright.mode in ("RGBA", "CMYK", "YCbCr") else upright)
    if step > 1:
        return numbers // step
    return numbers[..., 0] if upright.mode in ("LA", "PA") else numbers
