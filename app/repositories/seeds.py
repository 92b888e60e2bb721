"""The records that come with the software."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import orjson

from app.repositories.database import Database

SEEDED = ("tasks", "properties", "models", "allowed_properties")


def seed(database: Database, folder: Traversable | None = None) -> None:
    """Add the shipped tasks, properties, models and allowed properties that were never there."""
    for name in SEEDED:
        seed_table(database, name, folder)


def seed_table(database: Database, name: str, folder: Traversable | None = None) -> None:
    """Add those of one kind. What a person changed or deleted stays so; what a new version ships is added."""
    records = orjson.loads(((folder or files("app.zoo")) / f"{name}.json").read_bytes())
    getattr(database, name).add_missing(records)
