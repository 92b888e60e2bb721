"""Start a training."""

from app.api.blueprint import Blueprint
from app.api.schemas.training import (
    TRAINING_REQUEST,
    TRAINING_STARTED,
    TrainingFormSchema,
    TrainingRequestSchema,
    TrainingStartedSchema,
)
from app.api.services import services
from app.jobs.training.resume import resume_training
from app.jobs.training.start import start_training

blueprint = Blueprint("training", __name__, description="Train a model on a dataset")


@blueprint.post("/train")
@blueprint.body(TrainingRequestSchema, example=TRAINING_REQUEST, form=TrainingFormSchema)
@blueprint.fails(404, 409)
@blueprint.starts_process
@blueprint.response(201, TrainingStartedSchema, example=TRAINING_STARTED)
def train(body: dict) -> dict:
    """Start a training, or go on with one.

    Everything is checked before anything is stored. The training waits in a queue for a worker; `/status` tells how
    far it is, and its weights are listed by `/weights` from their first saved epoch on.

    With `resume`, the process id of a training that was stopped, failed or was killed, that training goes on where it
    was last saved, as a new process with the same weights. All else may then be left out.
    """
    return resume_training(services(), body) if body.get("resume") else start_training(services(), body)
