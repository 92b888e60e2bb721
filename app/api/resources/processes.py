"""Watch, stop and retry a training, an inference or a check."""

from app.api.blueprint import Blueprint
from app.api.schemas.processes import (
    RETRIED,
    STATUS,
    STOP_REQUEST,
    RetriedSchema,
    StatusQuerySchema,
    StatusSchema,
    StopRequestSchema,
    StopSchema,
)
from app.api.services import services
from app.jobs.processes import following
from app.jobs.processes.retry import retry

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
    return {"result": "ok", "status": following.status(services(), query["process_id"], query["full"])}


@blueprint.post("/stopProcess")
@blueprint.body(StopRequestSchema, example=STOP_REQUEST)
@blueprint.fails(404, 409)
@blueprint.response(200, StopSchema, example={"result": "Training stopped"})
def stop_process(body: dict) -> dict:
    """Stop a process.

    One that waits is stopped at once; one that runs saves and stops at its next step, or is killed after
    `STOP_GRACE_SECONDS`. The best and the last weights and the log are kept. Asking again while it stops is no error;
    409 for a process that has ended already.
    """
    return {"result": following.stop(services(), body["process_id"])}


@blueprint.post("/processes/<process_id>/retry")
@blueprint.fails(409, 422)
@blueprint.starts_process
@blueprint.response(201, RetriedSchema, example=RETRIED)
def retry_process(process_id: str) -> dict:
    """Do again what a process was to do that was stopped or has failed, as a new process.

    A training goes on from its last checkpoint, as with `resume` in `/train`; inferences and checks start over. 409
    while it has not ended, and when nothing is left to do.
    """
    return retry(services(), process_id)
