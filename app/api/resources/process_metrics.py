"""What a process measured, as numbers and as plots."""

from flask import Response, send_file

from app.api.blueprint import Blueprint
from app.api.schemas.process_metrics import INFERENCE_METRICS, TRAINING_METRICS, ProcessMetricsSchema
from app.api.services import services
from app.jobs.processes.metrics import process_metrics
from app.jobs.processes.plots import plot

blueprint = Blueprint("process metrics", __name__, description="What trainings and inferences measured")

EXAMPLES = {"training": {"value": TRAINING_METRICS}, "inference": {"value": INFERENCE_METRICS}}


@blueprint.get("/processes/<process_id>/metrics")
@blueprint.response(200, ProcessMetricsSchema, examples=EXAMPLES)
def get_metrics(process_id: str) -> dict:
    """Read the curves of a training, or the final numbers of an inference.

    Curves grow with each epoch that ends. The numbers are there once an inference over labelled images has finished.
    """
    return process_metrics(services(), process_id)


@blueprint.get("/processes/<process_id>/plots/<file_name>")
@blueprint.fails(409)
@blueprint.alt_response(200, schema={"type": "string"}, content_type="image/svg+xml")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
def get_plot(process_id: str, file_name: str) -> Response:
    """Read a plot.

    A training has `loss` and `metric`, by epoch; an inference over labelled images of a classification `roc` and
    `confusion_matrix`. `.svg` or `.png` behind the name is the format. 409 while there is nothing to draw.
    """
    return send_file(plot(services(), process_id, file_name), max_age=0)
