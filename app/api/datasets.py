"""The datasets that the service knows."""

from app.api.blueprint import Blueprint
from app.api.schemas.datasets import DIGITS, NEW_DATASET, DatasetSchema, NewDatasetSchema
from app.api.schemas.tasks import TaskFilterSchema
from app.api.services import services
from app.jobs.deletion import delete_dataset as delete
from app.jobs.registration import register_dataset

blueprint = Blueprint("datasets", __name__, description="Described collections of images")


@blueprint.get("/datasets")
@blueprint.query(TaskFilterSchema)
@blueprint.response(200, DatasetSchema(many=True), example=[DIGITS])
@blueprint.paged
def list_datasets(query: dict) -> list[dict]:
    """List the datasets.

    With `task_id`, only those for that task.
    """
    return services().database.datasets.find(**query)


@blueprint.post("/datasets")
@blueprint.body(NewDatasetSchema, example=NEW_DATASET)
@blueprint.response(201, DatasetSchema, example=DIGITS)
def create_dataset(body: dict) -> tuple[dict, dict]:
    """Register a dataset.

    `path` leads to a YAML file in the DeepHealth dataset format. It is read and checked as a whole before anything is
    stored; 422 lists every fault with its line. The service keeps a copy of the description, never of the images.
    """
    record = register_dataset(services(), body["name"], body["task_id"], body["path"])
    return record, {"Location": f"/backend/datasets/{record['id']}"}


@blueprint.get("/datasets/<id:dataset_id>")
@blueprint.response(200, DatasetSchema, example=DIGITS)
def get_dataset(dataset_id: int) -> dict:
    """Read one dataset.

    Beside its record: its classes, and how many samples each of its splits has.
    """
    return services().database.datasets.get(dataset_id)


@blueprint.delete("/datasets/<id:dataset_id>")
@blueprint.fails(409)
@blueprint.response(204)
def delete_dataset(dataset_id: int) -> None:
    """Delete a dataset from the registry.

    The files of its owner are never touched. One that weights were trained on, or that a process uses, is kept: 409
    names what it is.
    """
    delete(services(), dataset_id)
