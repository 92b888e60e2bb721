"""The records that come with the software."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import orjson

from app.repositories.database import Database

SEEDED = ("tasks", "properties", "models", "allowed_properties")


def seed(database: Database, folder: Traversable | None = None) -> None:
    """Add the shipped tasks, properties, models and allowed properties that were never there.

    What a person changed or deleted stays so; what a new version ships is added.
    """
    folder = folder or files("app.zoo")
    for name in SEEDED:
        records = orjson.loads((folder / f"{name}.json").read_bytes())
        getattr(database, name).add_missing(records)
