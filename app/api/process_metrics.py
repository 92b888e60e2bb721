"""What a process measured."""

from app.api.blueprint import Blueprint
from app.api.schemas.process_metrics import INFERENCE_METRICS, TRAINING_METRICS, ProcessMetricsSchema
from app.api.services import services
from app.jobs.process_metrics import process_metrics

blueprint = Blueprint("process metrics", __name__, description="What trainings and inferences measured")

EXAMPLES = {"training": {"value": TRAINING_METRICS}, "inference": {"value": INFERENCE_METRICS}}


@blueprint.get("/processes/<process_id>/metrics")
@blueprint.response(200, ProcessMetricsSchema, examples=EXAMPLES)
def get_metrics(process_id: str) -> dict:
    """Read the curves of a training, or the final numbers of an inference.

    Curves grow with each epoch that ends. The numbers are there once an inference over labelled images has finished.
    """
    return process_metrics(services(), process_id)
