"""Watch and stop a training or an inference."""

from app.api.blueprint import Blueprint
from app.api.schemas.processes import (
    STATUS,
    STOP_REQUEST,
    StatusQuerySchema,
    StatusSchema,
    StopRequestSchema,
    StopSchema,
)
from app.api.services import services
from app.jobs import processes

blueprint = Blueprint("processes", __name__, description="Trainings and inferences under way")


@blueprint.get("/status")
@blueprint.query(StatusQuerySchema)
@blueprint.fails(404)
@blueprint.response(200, StatusSchema, example=STATUS)
def get_status(query: dict) -> dict:
    """Tell how far a process is.

    `process_status` is `running` from the first moment, also while the process waits for a worker; `process_state`
    says more. A process that was stopped is `finished`.
    """
    return {"result": "ok", "status": processes.status(services(), query["process_id"], query["full"])}


@blueprint.post("/stopProcess")
@blueprint.body(StopRequestSchema, example=STOP_REQUEST)
@blueprint.fails(404, 409)
@blueprint.response(200, StopSchema, example={"result": "Training stopped"})
def stop_process(body: dict) -> dict:
    """Stop a process.

    The best and the last weights and the log are kept. 409 for a process that has ended already.
    """
    return {"result": processes.stop(services(), body["process_id"])}
