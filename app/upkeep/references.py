"""Whether the records that a record refers to are there."""

from collections.abc import Iterator
from functools import partial

from app.repositories.database import Database
from app.upkeep.finding import Finding
from app.upkeep.stored import Stored

# What may be deleted while something refers to it is left out: a project of weights, the weights of an inference.
REFERENCES = (
    ("datasets", "task_id", "tasks"),
    ("projects", "task_id", "tasks"),
    ("projects", "modelweights_id", "weights"),
    ("projects", "inference_id", "inferences"),
    ("weights", "model_id", "models"),
    ("weights", "dataset_id", "datasets"),
    ("weights", "pretrained_on", "weights"),
)
NULLABLE = {("projects", "modelweights_id"), ("projects", "inference_id")}


def broken_references(database: Database, stored: Stored) -> Iterator[Finding]:
    """Yield every reference to a record that is not there."""
    for name, field, other in REFERENCES:
        for record_id, record in stored.records[name].items():
            referred = record.get(field)
            if referred is None or stored.has(other, referred):
                continue
            place = f"db/{name}, record {record_id}"
            fault = f"Its {field} is {referred}, and {other} has no such record."
            if (name, field) in NULLABLE:
                mend = partial(getattr(database, name).update, record_id, **{field: None})
                yield Finding(place, fault, "--repair makes it null, which loses nothing else.", mend)
            else:
                advice = f"Put record {referred} of {other} back from a backup, or delete record {record_id} of {name}."
                yield Finding(place, fault, advice)
