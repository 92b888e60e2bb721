"""The numbers that a network has learned, as numpy arrays: drawn, taken out, put back, and kept in files."""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from pyeddl import eddl
from pyeddl._core import Net, Tensor

from app.errors import JobFailure
from app.files import write_atomically

HEADER = "header"
NORMALISATION = 4  # parameters of such a layer: factor, addend, running mean and variance


def names_of(net: Net) -> list[str]:
    """Return the name of each parameter: its layer, and its place in that."""
    return [f"{layer.name}.{place}" for layer in net.layers for place in range(len(layer.params))]


def arrays_of(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Return copies of some tensors."""
    return [np.array(tensor) for tensor in tensors]


def parameters_of(net: Net) -> dict[str, np.ndarray]:
    """Return copies of the parameters by name, running means and variances included."""
    tensors = [tensor for layer in eddl.get_parameters(net) for tensor in layer]
    return dict(zip(names_of(net), arrays_of(tensors), strict=True))


def put(net: Net, values: Mapping[str, np.ndarray]) -> list[str]:
    """Replace the parameters that fit by name and shape; return the names of the others."""
    unfitting = []
    for layer in net.layers:
        for place, tensor in enumerate(layer.params):
            name = f"{layer.name}.{place}"
            if name in values and values[name].shape == tuple(tensor.shape):
                fill(tensor, values[name])
            else:
                unfitting.append(name)
    return unfitting


def fill(tensor: Tensor, values: np.ndarray | float) -> None:
    """Write numbers into a tensor of the same shape, or one number everywhere."""
    np.asarray(tensor)[...] = values


def clear_unread(net: Net, layers: Collection[str]) -> None:
    """Set the biases of convolutions that have none to 0: EDDL leaves whatever was in the memory there.

    It never reads them, but files of weights should hold what was learned and nothing else.

    Args:
        net: as it was read from a file.
        layers: those without a bias.
    """
    for layer in net.layers:
        if layer.name in layers:
            fill(layer.params[1], 0)


def draw(net: Net, generator: np.random.Generator, only: Sequence[str] = ()) -> None:
    """Draw the weights of convolutions by He et al., 2015, of dense layers by LeCun et al., 1998; biases become 0.

    EDDL's own initialisers have random numbers that nothing outside can seed. Normalisation layers begin with a running
    variance of 1, where EDDL's is 0 and lets the first predictions explode.

    Args:
        net: a built network.
        generator: of all randomness.
        only: the layers to be drawn; without any, all are.
    """
    for layer in net.layers:
        if only and layer.name not in only:
            continue
        if len(layer.params) == NORMALISATION:
            for tensor, value in zip(layer.params, (1, 0, 0, 1), strict=True):
                fill(tensor, value)
            continue
        for tensor in layer.params:
            shape = tuple(tensor.shape)
            fill(tensor, generator.standard_normal(shape, dtype=np.float32) * np.float32(_deviation(shape)))


def _deviation(shape: tuple[int, ...]) -> float:
    """Return the deviation of weights `(maps, channels, height, width)` or `(inputs, outputs)`; 0 of biases."""
    if len(shape) == 4:
        return (2 / np.prod(shape[1:])) ** 0.5
    return (1 / (3 * shape[0])) ** 0.5 if len(shape) == 2 else 0.0


def write(path: Path, header: Mapping, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write lists of arrays by name, and what else there is to say as JSON; whole or not at all."""
    content = {HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for name, group in arrays.items():
        content |= {f"{name}:{place}": array for place, array in enumerate(group)}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **content)
    write_atomically(path, stream.getvalue())


def read(path: Path) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Read what `write` wrote.

    Raises:
        JobFailure: when the file is no such file, or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(stored[HEADER].tobytes())
            arrays: dict[str, list[np.ndarray]] = {}
            for key in stored.files:
                name, separator, _ = key.partition(":")
                if separator:
                    arrays.setdefault(name, []).append(stored[key])
            return header, arrays
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, TypeError, AttributeError) as error:
        raise JobFailure(f"{path.name} cannot be read as weights of the EDDL engine: {error}") from error
