"""Run a parsed augmentation on images and their masks. For workers: this loads OpenCV."""

from typing import Any, Protocol

import cv2
import numpy as np

# Importing these modules fills IMPLEMENTATIONS.
from app.augment.ops import dropout, geometric, intensity, noise  # noqa: F401
from app.augment.ops.registry import IMPLEMENTATIONS, chance
from app.augment.signatures import ONE_OF, SEQUENTIAL, Augmentation
from app.errors import JobFailure

# Dictionaries, lists, numbers and None, nested as the augmentation is: JSON can store it.
Drawn = Any


class Pipeline:
    """An augmentation that is ready to run; the same draw on the same image always gives the same result.

    Images are `(H, W, C)`, uint8 or float32, RGB or grey; masks are `(H, W)` uint8 or `None` and move with the image.
    Inputs are never changed, but a result may share their memory.
    """

    def __init__(self, augmentation: Augmentation | None):
        self._root = _step(augmentation or Augmentation(SEQUENTIAL))

    def __call__(
        self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator, scale_mask: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Draw, and apply the draw.

        Args:
            image: the image.
            mask: its mask, or `None`.
            rng: all randomness comes from here; one generator per sample keeps results independent of order.
            scale_mask: whether the mask holds grey values, which operations on values then scale as ECVL does; if
                not it holds classes, which stay what they are, and what enters at the edges is class 0.

        Raises:
            JobFailure: if an operation cannot be applied to this image.
        """
        return self.apply(image, mask, self.draw(rng), scale_mask)

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw all random values, which fit an image of any size, so that they can be stored and applied again."""
        return self._root.draw(rng)

    def apply(
        self, image: np.ndarray, mask: np.ndarray | None, drawn: Drawn, scale_mask: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Apply what was drawn before; see `__call__`."""
        return self._root.apply(image, mask, drawn, scale_mask)


class _Step(Protocol):
    def draw(self, rng: np.random.Generator) -> Drawn: ...

    def apply(self, image: np.ndarray, mask: np.ndarray | None, drawn: Drawn, scale_mask: bool) -> tuple: ...


class _Single:
    """One operation with its settings."""

    def __init__(self, augmentation: Augmentation):
        self._name = augmentation.name
        self._operation = IMPLEMENTATIONS[augmentation.name]
        settings = augmentation.settings()
        draws = self._operation.draws
        self._draws = [(name, draw, settings.get(name)) for name, draw in draws.items()]
        self._fixed = {name: value for name, value in settings.items() if name not in draws}

    def draw(self, rng: np.random.Generator) -> Drawn:
        return {name: draw(rng, written) for name, draw, written in self._draws}

    def apply(self, image, mask, drawn, scale_mask):
        operation = self._operation
        try:
            if not operation.moves_mask:
                return operation.function(image, **self._fixed, **drawn), mask
            if operation.reads_scale_mask:
                return operation.function(image, mask, **self._fixed, **drawn, scale_mask=scale_mask)
            return operation.function(image, mask, **self._fixed, **drawn)
        except (cv2.error, MemoryError) as error:
            height, width, channels = image.shape
            raise JobFailure(
                f"{self._name} cannot be applied to an image of {width} x {height} pixels with {channels} channel(s)."
            ) from error


class _Sequence:
    """All children, one after the other."""

    def __init__(self, augmentation: Augmentation):
        self._steps = [_step(child) for child in augmentation.children]

    def draw(self, rng: np.random.Generator) -> Drawn:
        return [step.draw(rng) for step in self._steps]

    def apply(self, image, mask, drawn, scale_mask):
        for step, values in zip(self._steps, drawn, strict=True):
            image, mask = step.apply(image, mask, values, scale_mask)
        return image, mask


class _Choice:
    """One of the children, each as likely, or with the probability 1 - p none."""

    def __init__(self, augmentation: Augmentation):
        self._steps = [_step(child) for child in augmentation.children]
        self._probability = augmentation.settings()["p"]

    def draw(self, rng: np.random.Generator) -> Drawn:
        if not chance(rng, self._probability):
            return None
        index = int(rng.random() * len(self._steps))
        return [index, self._steps[index].draw(rng)]

    def apply(self, image, mask, drawn, scale_mask):
        if drawn is None:
            return image, mask
        index, values = drawn
        return self._steps[index].apply(image, mask, values, scale_mask)


def _step(augmentation: Augmentation) -> _Step:
    if augmentation.name == SEQUENTIAL:
        return _Sequence(augmentation)
    return _Choice(augmentation) if augmentation.name == ONE_OF else _Single(augmentation)
