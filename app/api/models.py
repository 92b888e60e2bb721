"""The models that can be trained."""

from app.api.blueprint import Blueprint
from app.api.schemas.models import LENET, UNET, ModelSchema
from app.api.schemas.tasks import TaskFilterSchema
from app.api.services import services

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


@blueprint.get("/models/<id:model_id>")
@blueprint.response(200, ModelSchema, example=LENET)
def get_model(model_id: int) -> dict:
    """Read one model.

    Its weights are listed by `/weights?model_id=`.
    """
    return services().database.models.get(model_id)
