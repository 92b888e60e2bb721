"""The properties, and what a model, on one dataset, makes of them."""

from collections.abc import Mapping

from app.files import damaged
from app.repositories.database import Database
from app.training.config import lacking_properties
from app.zoo.properties import CHOICES, MULTI_LABEL_CHOICES, RULES, property_key

WHY_MULTI_LABEL = "does not fit images that have any number of classes each"


def all_properties(database: Database) -> list[dict]:
    """Return the records of every property.

    Raises:
        StorageDamaged: naming their file, when it lacks one that every training needs.
    """
    records = database.properties.all()
    if lacking := lacking_properties(records):
        path = database.properties.placement.single
        raise damaged(path, f"lacks the property {lacking[0]!r}, which every training needs")
    return records


def allowed_rows(
    database: Database, model_id: int, dataset_id: int | None = None, *, is_multi_label: bool = False
) -> list[dict]:
    """Return the allowed-property rows of a model: those of the dataset alone before those of any dataset.

    For a multi-label dataset, the row of any dataset gives way to one for that dataset where the property has values
    that fit such labels only.
    """
    rows = database.allowed_properties.find(model_id=model_id)
    of_dataset = [row for row in rows if dataset_id is not None and row["dataset_id"] == dataset_id]
    of_any = [row for row in rows if row["dataset_id"] is None]
    if not is_multi_label:
        return of_dataset + of_any
    adapted = [
        row | {"id": _row_id(of_any, row), "dataset_id": dataset_id}
        for record in database.properties.all()
        for row in _multi_label_rows(record, model_id)
    ]
    replaced = {row["property_id"] for row in adapted}
    return of_dataset + adapted + [row for row in of_any if row["property_id"] not in replaced]


def _multi_label_rows(record: Mapping, model_id: int) -> list[dict]:
    """Return the row of a property, if it has choices of its own for such datasets."""
    rule = RULES.get(property_key(record["name"]))
    if rule is None or rule.choices not in MULTI_LABEL_CHOICES:
        return []
    names = [CHOICES[rule.choices][value].spellings[0] for value in MULTI_LABEL_CHOICES[rule.choices]]
    row = {"model_id": model_id, "property_id": record["id"], "allowed_value": ",".join(names)}
    return [row | {"default_value": names[0], "why_others_do_not_fit": WHY_MULTI_LABEL}]


def _row_id(rows: list[dict], wanted: Mapping) -> int:
    """Return the id of the row that gives way; a model without one has that of the property."""
    return next((row["id"] for row in rows if row["property_id"] == wanted["property_id"]), wanted["property_id"])
