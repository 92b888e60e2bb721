"""The tasks that a network can be trained for."""

from app.api.blueprint import Blueprint
from app.api.schemas.tasks import CLASSIFICATION, SEGMENTATION, TaskSchema
from app.api.services import services

blueprint = Blueprint("tasks", __name__, description="What a network can be trained for")


@blueprint.get("/tasks")
@blueprint.response(200, TaskSchema(many=True), example=[CLASSIFICATION, SEGMENTATION])
@blueprint.paged
def list_tasks() -> list[dict]:
    """List the tasks.

    Projects, models and datasets belong to one of them.
    """
    return services().database.tasks.all()


@blueprint.get("/tasks/<id:task_id>")
@blueprint.response(200, TaskSchema, example=CLASSIFICATION)
def get_task(task_id: int) -> dict:
    """Read one task.

    Its id is the `task_id` of projects, models, datasets and weights.
    """
    return services().database.tasks.get(task_id)
