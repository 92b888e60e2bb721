"""The ONNX file of weights, for the web side: what the training has exported, or what a program exports on request."""

import re
from collections.abc import Mapping
from pathlib import Path

from app.errors import Conflict, NotFound
from app.jobs.request_checks import usable_card
from app.jobs.services import Services
from app.jobs.weights.detail import facts_of, is_exported
from app.jobs.weights.order import EXPORT, run_order

UNUSUAL_CHARACTERS = re.compile(r"[^\w.+-]+")


def onnx_file(services: Services, weights_id: int) -> tuple[Path, str]:
    """Return the path of the ONNX file of weights, and the name to save it under.

    Raises:
        NotFound: for an id that no weights have.
        Conflict: while there is nothing to export, or if it cannot be.
        Busy: while others are exported.
        StorageUnavailable: when the storage folder cannot be read or written, as on a full disk.
    """
    record = services.database.weights.get(weights_id)
    usable_card(services, record)
    folder = services.storage.weights(weights_id)
    if not is_exported(folder):
        answer = run_order(services, _export_order(services, record))
        if "error" in answer:
            raise Conflict(f"Weights {weights_id} cannot be exported: {answer['error']}")
    return folder.onnx, file_name(record)


def file_name(record: Mapping) -> str:
    """Return a name for a file that every system takes: that of the weights, without colons and the like."""
    return (UNUSUAL_CHARACTERS.sub("-", record["name"]).strip("-.") or f"weights-{record['id']}") + ".onnx"


def _export_order(services: Services, record: Mapping) -> dict:
    dataset = _dataset_of(services, record)
    return {
        "kind": EXPORT,
        "folder": str(services.storage.weights(record["id"]).path),
        "facts": facts_of(record["id"], record.get("created_at"), dataset),
        "dataset": dataset,
    }


def _dataset_of(services: Services, record: Mapping) -> dict | None:
    if record["dataset_id"] is None:
        return None
    try:
        return services.database.datasets.get(record["dataset_id"])
    except NotFound:
        return None
