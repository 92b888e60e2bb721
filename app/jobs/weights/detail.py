"""What the API tells of weights beside their record: where they began, and the ONNX file that is made of them."""

from collections.abc import Mapping

from app.files import read_object
from app.jobs.services import Services
from app.runs.configs import Card, Export
from app.runs.layout import WeightsFolder
from app.runs.reader import read_config


def detailed(services: Services, record: dict) -> dict:
    """Return the record of weights with `replaced_layers` and `onnx_export`."""
    run = services.storage.run(record.get("process_id") or "")
    config = read_config(run) if run else None
    export = export_report(services.storage.weights(record["id"]))
    return record | {"replaced_layers": (config or {}).get("replaced_layers"), "onnx_export": export}


def export_report(folder: WeightsFolder) -> dict | None:
    """Return the report of the export of the weights as they are now; None where they have not been exported.

    A training that goes on to better weights leaves the old file behind: it is the card that says which ones it is of.
    """
    try:
        card, report = read_object(folder.card, Card), read_object(folder.export, Export)
    except FileNotFoundError:
        return None
    if report["digest"] != card.get("digest"):
        return None
    return {name: value for name, value in report.items() if name != "digest"}


def is_exported(folder: WeightsFolder) -> bool:
    """Tell whether there is a checked ONNX file of the weights as they are now."""
    report = export_report(folder)
    return report is not None and report["error"] is None and folder.onnx.exists()


def uploaded_origin(services: Services, record: Mapping | None) -> dict | None:
    """Return what was uploaded that weights come from, perhaps by several trainings; None for those of the zoo."""
    while record is not None and "upload" not in record:
        before = record.get("pretrained_on")
        record = services.database.weights.get(before) if before else None
    return record["upload"] if record else None


def facts_of(weights_id: int, created_at: str | None, dataset: Mapping | None) -> dict[str, str]:
    """Return what an exported file tells of its origin; a name is left out, for it may change."""
    facts = {"weights_id": str(weights_id)} | ({"created_at": created_at} if created_at else {})
    return facts | ({"dataset": dataset["name"]} if dataset else {})
