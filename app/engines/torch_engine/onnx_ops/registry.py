"""The table of ONNX operators, and what an operator sees of its node."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Operator = Callable[..., Tensor | tuple[Tensor, ...]]

OPERATORS: dict[str, Operator] = {}


class Unsupported(Exception):
    """An operator, or a way to use it, that the importer does not know; the message says what it is."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node of a graph.

    Attributes:
        operator: its type, such as `Conv`.
        name: its own, else that of its first output: what faults are reported under.
        inputs: names of values; empty where an optional one is left out.
        outputs: names of values.
        attributes: by name.
        opset: the version of the default operator set that the graph uses.
        owner: the module that runs it.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    owner: nn.Module

    @property
    def is_training(self) -> bool:
        return self.owner.training

    @property
    def is_shared(self) -> bool:
        """Whether several processes learn from a part of each batch."""
        return bool(self.owner.is_shared)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def setting(self, value: Tensor | None, name: str, default: Any = None) -> Any:
        """Return what old operator sets hold in an attribute and new ones in an input, as Python numbers."""
        return self.get(name, default) if value is None else value.tolist()


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Enter a function as the operators of these names; it gets the node and the values of its inputs."""

    def enter(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return enter


def axes_of(axes: int | Sequence[int] | None, rank: int) -> list[int]:
    """Return axes counted from the front; None stands for all."""
    if axes is None:
        return list(range(rank))
    return sorted(axis % rank for axis in ([axes] if isinstance(axes, int) else axes))
