"""Bind the names of the language to functions: first the random values are drawn, then a pure function uses them.

A drawn value is a number or a few numbers and never depends on the image, so a draw can be stored and replayed. What is
random per pixel is made from a drawn `seed`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# (generator, what the text says) -> the drawn value
Draw = Callable[[np.random.Generator, Any], Any]


@dataclass(frozen=True)
class Operation:
    """A function on an image, and on its mask if it `moves_mask`; `draws` names its keywords that are drawn."""

    function: Callable
    draws: Mapping[str, Draw]
    moves_mask: bool
    reads_scale_mask: bool


IMPLEMENTATIONS: dict[str, Operation] = {}


def image_operation(name: str, **draws: Draw) -> Callable[[Callable], Callable]:
    """Register `function(image, **settings) -> image`; masks stay as they are."""
    return _registration(name, draws, moves_mask=False)


def paired_operation(name: str, **draws: Draw) -> Callable[[Callable], Callable]:
    """Register `function(image, mask, **settings) -> (image, mask)`; the mask may be `None`.

    A function with a `scale_mask` keyword is told whether the mask holds grey values (true) or classes (false).
    """
    return _registration(name, draws, moves_mask=True)


def uniform(generator: np.random.Generator, limits: tuple[float, float]) -> float:
    """Draw one number from a range."""
    low, high = limits
    return low + (high - low) * generator.random()


def uniform_pair(generator: np.random.Generator, limits: tuple[float, float]) -> tuple[float, float]:
    """Draw two numbers from a range."""
    return uniform(generator, limits), uniform(generator, limits)


def chance(generator: np.random.Generator, probability: float) -> bool:
    """Draw whether something with a probability happens; never for 0, always for 1."""
    return generator.random() < probability


def place(generator: np.random.Generator, _: None) -> tuple[float, float]:
    """Draw a point of the unit square, each coordinate less than 1."""
    return generator.random(), generator.random()


def seed(generator: np.random.Generator, _: None) -> int:
    """Draw a seed of 64 bits for `app.augment.randomness.pixel_generator`."""
    return int(generator.bit_generator.random_raw())


def _registration(name: str, draws: Mapping[str, Draw], *, moves_mask: bool) -> Callable[[Callable], Callable]:
    def register(function: Callable) -> Callable:
        reads_scale_mask = "scale_mask" in inspect.signature(function).parameters
        IMPLEMENTATIONS[name] = Operation(function, draws, moves_mask, reads_scale_mask)
        return function

    return register
