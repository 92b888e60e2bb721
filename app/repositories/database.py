"""Every table of the service."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from app.repositories import records
from app.repositories.index import Fields
from app.repositories.locking import FileLock
from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table

# A change writes the part anew, and waits longer for the disk than for these records to be written.
PART_SIZE = 100


class Database:
    """The repositories over the JSON files in one folder, which is made if it is absent.

    The catalogues are a file each. What people add to is a folder of files, and is found by the fields named here.

    Raises:
        StorageUnavailable: when the folder or a file in it cannot be made.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.tasks = self._catalogue("tasks", "task", records.Task)
        self.properties = self._catalogue("properties", "property", records.Property)
        self.models = self._catalogue("models", "model", records.Model)
        self.allowed_properties = self._catalogue("allowed_properties", "allowed property", records.AllowedProperty)
        self.datasets = self._register("datasets", "dataset", records.Dataset, [("task_id",), ("name",), ("folder",)])
        self.projects = self._register(
            "projects", "project", records.Project, [("modelweights_id",), ("inference_id",)]
        )
        self.weights = self._register(
            "weights",
            "weights entry",
            records.Weights,
            [
                ("has_file",),
                ("model_id", "has_file"),
                ("model_id", "dataset_id", "has_file"),
                ("model_id",),
                ("dataset_id",),
                ("pretrained_on",),
                ("project_id",),
            ],
        )
        self.inferences = self._register(
            "inferences",
            "inference",
            records.Inference,
            [("modelweights_id",), ("dataset_id",), ("project_id",)],
        )
        self.tokens = self._catalogue("tokens", "token", records.Token)
        self._references = FileLock(folder / "references.lock")

    def tables(self) -> dict[str, Repository]:
        """Return every repository by the name of its table."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Repository)}

    def holding_references(self) -> AbstractContextManager[None]:
        """Hold what records refer to each other by: what is found to exist meanwhile is not deleted before the end.

        Whoever adds a record that refers to others, or deletes one that others may refer to, does both the looking
        and the writing inside.
        """
        return self._references.hold()

    def _catalogue(self, name: str, noun: str, form: Any) -> Repository:
        return self._repository(Placement(self.folder, name, part_size=None), noun, form)

    def _register(self, name: str, noun: str, form: Any, groups: Iterable[Fields]) -> Repository:
        return self._repository(Placement(self.folder, name, PART_SIZE), noun, form, groups)

    def _repository(self, placement: Placement, noun: str, form: Any, groups: Iterable[Fields] = ()) -> Repository:
        prepare(placement)
        return Repository(Table(placement, groups), noun, form)
