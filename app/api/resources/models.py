"""The models that can be trained."""

from app.api.blueprint import Blueprint
from app.api.schemas.models import FAMILY, LENET, NEW_MODEL, UNET, ModelSchema, NewModelSchema
from app.api.schemas.tasks import TaskFilterSchema
from app.api.services import services
from app.jobs.weights.model_families import add_family, delete_family

blueprint = Blueprint("models", __name__, description="The models that can be trained")


@blueprint.get("/models")
@blueprint.query(TaskFilterSchema)
@blueprint.response(200, ModelSchema(many=True), example=[LENET, UNET])
@blueprint.paged
def list_models(query: dict) -> list[dict]:
    """List the models.

    With `task_id`, only those for that task.
    """
    return services().database.models.find(**query)


@blueprint.post("/models")
@blueprint.body(NewModelSchema, example=NEW_MODEL)
@blueprint.response(201, ModelSchema, example=FAMILY)
def create_model(body: dict) -> tuple[dict, dict]:
    """Add a model for networks that are uploaded.

    It has no network of its own: `POST /weights` gives it weights, each with the network that they are of, and
    trainings start from those by `weights_id`.
    """
    record = add_family(services(), **body)
    return record, {"Location": f"/backend/models/{record['id']}"}


@blueprint.get("/models/<id:model_id>")
@blueprint.response(200, ModelSchema, example=LENET)
def get_model(model_id: int) -> dict:
    """Read one model.

    Its weights are listed by `/weights?model_id=`.
    """
    return services().database.models.get(model_id)


@blueprint.delete("/models/<id:model_id>")
@blueprint.fails(409)
@blueprint.response(204)
def delete_model(model_id: int) -> None:
    """Delete a model that was added.

    One that has weights, or that comes with the service, is kept: 409.
    """
    delete_family(services(), model_id)
