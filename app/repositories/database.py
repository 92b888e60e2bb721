"""Every table of the service, each in a file of its own."""

from contextlib import AbstractContextManager
from pathlib import Path

from app.files import unavailable
from app.repositories.json_storage import JsonStorage
from app.repositories.locking import FileLock
from app.repositories.repository import Repository


class Database:
    """The repositories over the JSON files in one folder, which is made if it is absent.

    Raises:
        StorageUnavailable: when the folder or a file in it cannot be made.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.tasks = self._repository("tasks", "task")
        self.properties = self._repository("properties", "property")
        self.models = self._repository("models", "model")
        self.allowed_properties = self._repository("allowed_properties", "allowed property")
        self.datasets = self._repository("datasets", "dataset")
        self.projects = self._repository("projects", "project")
        self.weights = self._repository("weights", "weights entry")
        self.inferences = self._repository("inferences", "inference")
        self.tokens = self._repository("tokens", "token")
        self._references = FileLock(folder / "references.lock")

    def holding_references(self) -> AbstractContextManager[None]:
        """Hold what records refer to each other by: what is found to exist meanwhile is not deleted before the end.

        Whoever adds a record that refers to others, or deletes one that others may refer to, does both the looking
        and the writing inside.
        """
        return self._references.hold()

    def _repository(self, name: str, noun: str) -> Repository:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable(self.folder, "made", error) from error
        storage = JsonStorage(self.folder / f"{name}.json")
        storage.create()
        return Repository(storage, noun)
