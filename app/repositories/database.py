"""Every table of the service, each in a file of its own."""

from pathlib import Path

from app.files import unavailable
from app.repositories.json_storage import JsonStorage
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

    def _repository(self, name: str, noun: str) -> Repository:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable(self.folder, "made", error) from error
        storage = JsonStorage(self.folder / f"{name}.json")
        storage.create()
        return Repository(storage, noun)
