"""The datasets that the service knows."""

from app.api.blueprint import Blueprint
from app.api.schemas.datasets import (
    DIGITS,
    NEW_DATASET,
    NEW_SPLIT,
    SPLIT_DIGITS,
    DatasetSchema,
    NewDatasetSchema,
    NewSplitSchema,
    UploadedDatasetSchema,
)
from app.api.schemas.deletion import DeletionSchema
from app.api.schemas.tasks import TaskFilterSchema
from app.api.services import services
from app.jobs.datasets.registration import register_dataset
from app.jobs.datasets.versions import split_dataset as split
from app.jobs.removal.cascade import delete_dataset_and_dependents
from app.jobs.removal.deletion import delete_dataset as delete
from app.repositories.selection import Selection

blueprint = Blueprint("datasets", __name__, description="Described collections of images")


@blueprint.get("/datasets")
@blueprint.query(TaskFilterSchema)
@blueprint.response(200, DatasetSchema(many=True), example=[DIGITS])
@blueprint.paged
def list_datasets(query: dict) -> Selection:
    """List the datasets.

    With `task_id`, only those for that task.
    """
    return services().database.datasets.select(**query)


@blueprint.post("/datasets")
@blueprint.body(NewDatasetSchema, example=NEW_DATASET, upload=UploadedDatasetSchema)
@blueprint.response(201, DatasetSchema, example=DIGITS)
def create_dataset(body: dict) -> tuple[dict, dict]:
    """Register a dataset.

    `path` leads to a YAML file in the DeepHealth dataset format, or to a folder; a multipart form may bring the file
    `file` instead, a YAML file or a zip, tar or tar.gz archive with the images. A folder or archive without a YAML file
    is described by its layout: `class_name/image.png`, or `images/` and `masks/`. All is read and checked before
    anything is stored; 422 lists every fault with its line. Then a job checks every image:
    `GET /datasets/{dataset_id}/report` tells what it finds.
    """
    record = register_dataset(services(), body["name"], body["task_id"], body["place"], body.get("colour_type"))
    return record, {"Location": f"/backend/datasets/{record['id']}"}


@blueprint.get("/datasets/<id:dataset_id>")
@blueprint.response(200, DatasetSchema, example=DIGITS)
def get_dataset(dataset_id: int) -> dict:
    """Read one dataset.

    Beside its record: its classes, and how many samples each of its splits has.
    """
    return services().database.datasets.get(dataset_id)


@blueprint.put("/datasets/<id:dataset_id>/split")
@blueprint.body(NewSplitSchema, example=NEW_SPLIT)
@blueprint.response(201, DatasetSchema, example=SPLIT_DIGITS)
def split_dataset(body: dict, dataset_id: int) -> tuple[dict, dict]:
    """Split a dataset anew, at random.

    The answer is a new dataset with the same images, whose `version_of` is this one; this one stays as it is. Without
    fractions, 70, 15 and 15 % of the images go to `training`, `validation` and `test`. With `folds`, the splits are
    `fold_1`, `fold_2`, ...; with `fold` too, that fold is `validation` and the others are `training`. The same `seed`
    gives the same split.
    """
    record = split(services(), dataset_id, body)
    return record, {"Location": f"/backend/datasets/{record['id']}"}


@blueprint.delete("/datasets/<id:dataset_id>")
@blueprint.query(DeletionSchema)
@blueprint.fails(409)
@blueprint.response(204)
def delete_dataset(query: dict, dataset_id: int) -> None:
    """Delete a dataset from the registry.

    The files of its owner are never touched. One that weights were trained on, or that a process uses, is kept: 409
    names what it is.
    With `cascade`, its other splits, the weights that were trained on it and their inferences go too; nothing
    goes while a process of one of them has not ended.
    """
    delete_all = delete_dataset_and_dependents if query["cascade"] else delete
    delete_all(services(), dataset_id)
