"""Deep-learning libraries behind the contract of `app.training.engine`, each imported on first use."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from app.datasets.description import Description
from app.errors import JobFailure
from app.training.config import TrainingConfig
from app.training.engine import Engine


@dataclass(frozen=True)
class Registered:
    """What is known of an engine before its library is loaded.

    Attributes:
        title: what people call it.
        module: holds `ENGINE`.
        packages: that have to be importable; each is named as its distribution is.
        remedy: what to do where they are not.
        limits: a module whose `faults` tells what the engine cannot do; None where it does all there is.
    """

    title: str
    module: str
    packages: tuple[str, ...]
    remedy: str
    limits: str | None = None


ENGINES: Mapping[str, Registered] = {
    "torch": Registered(
        "Torch",
        "app.engines.torch_engine.engine",
        ("torch", "monai", "onnx", "onnxruntime"),
        "install the service again (make install)",
    ),
    "eddl": Registered(
        "EDDL",
        "app.engines.eddl_engine.engine",
        ("pyeddl", "pyecvl"),
        "install pyeddl and pyecvl (docs/eddl.md), or choose Torch",
        "app.engines.eddl_engine.limits",
    ),
}


def installed_engines() -> list[str]:
    """Return the names of the engines whose libraries are installed; none of them is loaded."""
    return [name for name in ENGINES if why_not_installed(name) is None]


def why_not_installed(name: str) -> str | None:
    """Return a sentence that says what an engine lacks on this machine, and what to do; None for an installed one."""
    entry = ENGINES[name]
    missing = [package for package in entry.packages if find_spec(package) is None]
    if not missing:
        return None
    return f"The engine {entry.title} needs {' and '.join(missing)}, not installed on this machine: {entry.remedy}."


def package_versions(name: str) -> dict[str, str]:
    """Return the versions of an engine's installed packages, without loading them."""
    found = {}
    for package in ENGINES[name].packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # not there, or put there without a package manager
            continue
    return found


def engine_faults(config: TrainingConfig, description: Description | None = None) -> dict[str, str]:
    """Return why the config's engine cannot train or predict so: a sentence for each property that is in the way.

    Args:
        config: of the training, or of weights.
        description: of the images, where they are known.
    """
    limits = ENGINES[config.engine].limits
    return import_module(limits).faults(config, description) if limits else {}


def get_engine(name: str) -> Engine:
    """Return the engine of that name.

    Raises:
        JobFailure: for an unknown name, or one whose library is not installed, naming what is missing.
    """
    if name not in ENGINES:
        raise JobFailure(f"There is no engine {name!r}; choose one of {', '.join(ENGINES)}.")
    if reason := why_not_installed(name):
        raise JobFailure(reason)
    return import_module(ENGINES[name].module).ENGINE
