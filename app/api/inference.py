"""Start an inference, over a dataset or over one image."""

from app.api.blueprint import Blueprint
from app.api.schemas.inference import (
    INFERENCE_REQUEST,
    INFERENCE_STARTED,
    SINGLE_INFERENCE_REQUEST,
    InferenceRequestSchema,
    InferenceStartedSchema,
    SingleInferenceFormSchema,
    SingleInferenceRequestSchema,
    SingleInferenceUploadSchema,
)
from app.api.services import services
from app.jobs.inference_start import start_inference, start_single_inference

blueprint = Blueprint("inference", __name__, description="Predict with trained weights")


@blueprint.post("/inference")
@blueprint.body(InferenceRequestSchema, example=INFERENCE_REQUEST)
@blueprint.fails(409)
@blueprint.starts_process
@blueprint.response(201, InferenceStartedSchema, example=INFERENCE_STARTED)
def infer(body: dict) -> dict:
    """Start an inference over the test split of a dataset.

    The weights bring their model, the names of their classes and how images are prepared. 409 for weights that no
    epoch has saved yet.
    """
    return start_inference(services(), body)


@blueprint.post("/inferenceSingle")
@blueprint.body(
    SingleInferenceRequestSchema,
    example=SINGLE_INFERENCE_REQUEST,
    form=SingleInferenceFormSchema,
    upload=SingleInferenceUploadSchema,
)
@blueprint.fails(409)
@blueprint.starts_process
@blueprint.response(201, InferenceStartedSchema, example=INFERENCE_STARTED)
def infer_single(body: dict) -> dict:
    """Start an inference over one image.

    The image is one of: `image_url`, `image_data` (a base64 data URL), or the file `image` of a multipart form.
    """
    return start_single_inference(services(), **body)
