"""Models that users add: families of uploaded networks, which have no architecture in the zoo."""

from collections.abc import Mapping

from app.errors import Conflict, InvalidInput
from app.jobs.request_checks import referenced
from app.jobs.services import Services
from app.repositories.repository import Repository
from app.zoo.architectures import FAMILY_DEFAULTS, FIRST_FAMILY_ID, UPLOADED
from app.zoo.properties import property_key


def add_family(services: Services, name: str, task_id: int) -> dict:
    """Add a model for uploaded weights, with the properties that such trainings may have; return its record.

    Raises:
        InvalidInput: for an unknown task, or a name that a model of the task has.
    """
    database = services.database
    task = referenced(database.tasks, {"task_id": task_id}, "task_id")["name"].lower()
    with database.holding_references():
        for model in database.models.find(task_id=task_id):
            if model["name"].casefold() == name.casefold():
                raise InvalidInput.at("name", f"name: model {model['id']} is called {model['name']!r} already.")
        model = _add(database.models, {"name": name, "task_id": task_id, "architecture": f"onnx_{task}"})
        for record in database.properties.all():
            row = FAMILY_DEFAULTS[task].get(property_key(record["name"]))
            if row is not None:
                allowed, default = row
                ids = {"model_id": model["id"], "property_id": record["id"], "dataset_id": None}
                _add(database.allowed_properties, ids | {"allowed_value": allowed, "default_value": default})
    return model


def _add(repository: Repository, record: Mapping) -> dict:
    return repository.add({**record, "id": repository.reserve_id(FIRST_FAMILY_ID)})


def delete_family(services: Services, model_id: int) -> None:
    """Delete a model that a user added.

    Raises:
        NotFound: for an id that no model has.
        Conflict: for a model of the zoo, or one that has weights.
    """
    database = services.database
    with database.holding_references():
        model = database.models.get(model_id)
        if not is_family(model):
            raise Conflict(f"Model {model_id} comes with the service; only those that were added can be deleted.")
        weights = database.weights.find(model_id=model_id)
        if weights:
            ids = ", ".join(str(record["id"]) for record in weights[:5])
            raise Conflict(f"Model {model_id} has weights ({ids}); delete those first.")
        for row in database.allowed_properties.find(model_id=model_id):
            database.allowed_properties.delete(row["id"])
        database.models.delete(model_id)


def is_family(model: Mapping) -> bool:
    """Tell whether a model has no network of its own, but those that are uploaded."""
    return model["architecture"] in UPLOADED
