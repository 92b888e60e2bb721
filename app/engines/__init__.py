"""Deep-learning libraries behind the contract of `app.training.engine`, each imported on first use."""

from importlib import import_module
from importlib.util import find_spec

from app.errors import JobFailure
from app.training.engine import Engine

MODULES = {"torch": "app.engines.torch_engine.engine"}
REQUIRED_PACKAGES = {"torch": ("torch", "monai", "onnx", "onnxruntime")}


def installed_engines() -> list[str]:
    """Return the names of the engines whose libraries are installed."""
    return [name for name in MODULES if all(find_spec(package) for package in REQUIRED_PACKAGES[name])]


def get_engine(name: str) -> Engine:
    """Return the engine of that name.

    Raises:
        JobFailure: for an unknown name, or one whose library is not installed, naming what is missing.
    """
    if name not in MODULES:
        raise JobFailure(f"There is no engine {name!r}; choose one of {', '.join(MODULES)}.")
    if name not in installed_engines():
        raise JobFailure(f"Engine {name!r} needs {', '.join(REQUIRED_PACKAGES[name])} installed on the worker.")
    return import_module(MODULES[name]).ENGINE
