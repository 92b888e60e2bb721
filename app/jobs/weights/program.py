"""Exports weights, or takes in a foreign file, and ends: `python -m app.jobs.weights.program`, see `order`.

It reads an order as JSON and writes the answer as JSON; a refusal is `{"error": sentence}` with its own exit code,
as is that the storage folder cannot be used.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import StorageUnavailable, ToolkitError
from app.jobs.weights.order import EXPORT, IMPORT, LONGEST_SECONDS, NOT_STORED, REFUSED

MEMORY_BYTES = 8 * 1024**3


def export(order: Mapping) -> dict:
    """Export the weights of a folder."""
    from app.jobs.weights.export import export_weights  # loaded here, under the limits of `main`
    from app.runs.layout import WeightsFolder

    folder = WeightsFolder(Path(order["folder"]))
    return export_weights(folder, order["facts"], _images(order))


def _images(order: Mapping) -> list[Any] | None:
    """Return images of the weights' dataset; None where there is none, or it cannot be read any more."""
    from app.jobs.weights.export import dataset_images
    from app.runs.layout import WeightsFolder
    from app.settings import Settings
    from app.training.checkpoints import read_card

    if order["dataset"] is None:
        return None
    given = order["settings"]
    settings = Settings(**{**given, "storage_dir": Path(given["storage_dir"]), "url_hosts": tuple(given["url_hosts"])})
    try:
        return dataset_images(order["dataset"], read_card(WeightsFolder(Path(order["folder"]))), settings)
    except ToolkitError:
        return None


def take_in(order: Mapping) -> dict:
    """Make weights of an uploaded file, in a folder of their own, and export them."""
    from app.engines import get_engine
    from app.jobs.weights.export import export_weights
    from app.runs.layout import WeightsFolder
    from app.training.checkpoints import save_best
    from app.training.engine import Wanted

    folder, engine = WeightsFolder(Path(order["folder"])), get_engine(order["engine"])
    wanted = Wanted(**{name: _hashable(value) for name, value in order["wanted"].items()})
    imported = engine.import_onnx(Path(order["file"]), wanted, folder.graph)
    network = engine.build(imported.config, folder.graph)
    facts = {"epoch": None, "is_complete": True, "metric": None, "value": None}
    save_best(folder, network, imported.config, facts)
    export_weights(folder, order["facts"], None)
    config = imported.config
    return {
        "classes": list(config.classes),
        "channels": config.channels,
        "input_height": config.input_height,
        "input_width": config.input_width,
        "is_multi_label": config.is_multi_label,
        "parameter_count": network.parameter_count,
        "last_layer": imported.last_layer,
        "notes": list(imported.notes),
    }


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


ORDERS = {EXPORT: export, IMPORT: take_in}


def _code_of(error: StorageUnavailable) -> int:
    return next(code for code, kind in NOT_STORED.items() if isinstance(error, kind))


def main(source: BinaryIO, target: BinaryIO) -> int:
    """Carry out the order in one stream, and answer into the other; return the exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (4 * LONGEST_SECONDS, 4 * LONGEST_SECONDS))  # of all threads together
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Each thread of these takes address space, used or not.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    order = json.loads(source.read())
    try:
        answer, code = ORDERS[order["kind"]](order), 0
    except StorageUnavailable as error:
        answer, code = {"error": error.message}, _code_of(error)
    except ToolkitError as error:
        answer, code = {"error": error.message, "errors": error.errors}, REFUSED
    except MemoryError:
        answer, code = {"error": f"The network needs more than {MEMORY_BYTES // 1024**3} GiB of memory."}, REFUSED
    target.write(json.dumps(answer).encode())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
