"""Weights that others have trained: files that were placed in the storage folder, or what MONAI downloads."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

from monai.networks.nets import DenseNet121, EfficientNetBN
from torch import Tensor, nn

from app.engines.torch_engine.onnx_graph import read_model
from app.engines.torch_engine.onnx_import import to_tensor
from app.errors import JobFailure
from app.zoo.architectures import architecture_of

LIBRARY = {
    "densenet121": lambda: DenseNet121(spatial_dims=2, in_channels=3, out_channels=1000, pretrained=True),
    "efficientnet_b0": lambda: EfficientNetBN("efficientnet-b0", pretrained=True, spatial_dims=2, num_classes=1000),
}
# Keys under which programs keep parameters beside other things, and what they put before each name.
WRAPPERS = ("weights", "state_dict", "model")
PREFIXES = ("", "module.", "model.", "network.")
COUNTER = "num_batches_tracked"
COLOURS = 3


def from_library(architecture: str) -> dict[str, Tensor]:
    """Return the weights of ImageNet that MONAI downloads, by its own names.

    Raises:
        JobFailure: when they cannot be downloaded.
    """
    try:
        return LIBRARY[architecture]().state_dict()
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise JobFailure(
            f"The pretrained weights of the library cannot be downloaded ({reason}); connect this machine to the "
            f"internet, or place them as weights/pretrained/{architecture}.pth in the storage folder and choose File."
        ) from error


def from_onnx(path: Path) -> dict[str, Tensor]:
    """Return the stored values of an ONNX file by their names."""
    return {tensor.name: to_tensor(tensor) for tensor in read_model(path).graph.initializer}


def unwrapped(content: object) -> dict[str, Tensor]:
    """Return the parameters in what a PyTorch file holds."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def load(module: nn.Module, architecture: str, stored: Mapping[str, Tensor]) -> list[str]:
    """Load what fits; return the names of what does not, and is as it was drawn.

    Images of another number of channels get a first layer that sees a grey image as three equal channels, and so on.

    Raises:
        JobFailure: if a part of the encoder is missing, so that these are not the weights of this architecture.
    """
    own = module.state_dict()
    fitting = {}
    for name, value in own.items():
        for other in _other_names(name):
            if other in stored and (found := _adapted(stored[other], value)) is not None:
                fitting[name] = found
                break
    missing = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    encoder = architecture_of(architecture).encoder
    lacking = [name for name in missing if name.removeprefix("network.").startswith(encoder)]
    if lacking or not fitting:
        raise JobFailure(
            f"These are not weights of {architecture}: {(lacking or missing)[0]} is not in them, or has another shape."
        )
    module.load_state_dict(own | fitting)
    return missing


def _other_names(name: str) -> Iterator[str]:
    """Yield what other programs call a parameter of the zoo: torchvision, and EfficientNet's own."""
    plain = name.removeprefix("network.")
    for start in dict.fromkeys((plain, plain.removeprefix("encoder."))):
        spellings = (
            start,
            re.sub(r"(denselayer\d+)\.layers\.", r"\1.", start),
            re.sub(r"(.+)\.\d+(\.\d+\..+)", r"\1\2", start),
        )
        for spelling in dict.fromkeys(spellings):
            yield from (prefix + spelling for prefix in PREFIXES)


def _adapted(value: Tensor, own: Tensor) -> Tensor | None:
    """Return a value in the shape of a parameter; None if it does not fit."""
    if value.shape == own.shape:
        return value.to(own.dtype)
    is_first = value.ndim == 4 == own.ndim and value.shape[0] == own.shape[0] and value.shape[2:] == own.shape[2:]
    if not is_first or value.shape[1] not in (1, COLOURS):
        return None
    total = value.sum(dim=1, keepdim=True)
    return (total / own.shape[1]).expand_as(own).to(own.dtype).clone()


def read(path: Path, load_file) -> dict[str, Tensor]:
    """Return the parameters in a file; `load_file` reads PyTorch's own without running anything in them."""
    return from_onnx(path) if path.suffix == ".onnx" else unwrapped(load_file(path))
