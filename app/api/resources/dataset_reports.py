"""What is wrong with a dataset, and what there is to know of it before a training."""

from app.api.blueprint import Blueprint
from app.api.schemas.dataset_reports import (
    CHECK_STARTED,
    FINISHED_REPORT,
    WAITING_REPORT,
    CheckStartedSchema,
    NewCheckSchema,
    ReportSchema,
)
from app.api.services import services
from app.jobs.datasets import checking

blueprint = Blueprint("dataset reports", __name__, description="What is wrong with a dataset, and what is in it")

EXAMPLES = {"finished": {"value": FINISHED_REPORT}, "not finished": {"value": WAITING_REPORT}}


@blueprint.get("/datasets/<id:dataset_id>/report")
@blueprint.response(200, ReportSchema, examples=EXAMPLES)
def get_report(dataset_id: int) -> dict:
    """Read the report on a dataset.

    Registering a dataset starts its check; one that was never checked is checked now. Until the check has finished,
    the answer says how far it is. A dataset with errors is refused by `/train`.
    """
    return checking.dataset_report(services(), dataset_id)


@blueprint.post("/datasets/<id:dataset_id>/report")
@blueprint.body(NewCheckSchema, example={"group_by": "patient_id"})
@blueprint.fails(409)
@blueprint.starts_process
@blueprint.response(201, CheckStartedSchema, example=CHECK_STARTED)
def check_dataset(body: dict, dataset_id: int) -> dict:
    """Check a dataset again, as after mending it.

    409 while it is being checked.
    """
    return {"result": "ok", "process_id": checking.check_again(services(), dataset_id, body["group_by"])}
