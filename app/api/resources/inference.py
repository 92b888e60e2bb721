"""Start an inference, over a dataset or over one image."""

from app.api.blueprint import Blueprint
from app.api.resources.outputs import with_mask_urls
from app.api.schemas.inference import (
    INFERENCE_REQUEST,
    INFERENCE_STARTED,
    SINGLE_INFERENCE_ANSWERED,
    SINGLE_INFERENCE_REQUEST,
    InferenceRequestSchema,
    InferenceStartedSchema,
    SingleInferenceFormSchema,
    SingleInferenceRequestSchema,
    SingleInferenceStartedSchema,
    SingleInferenceUploadSchema,
    WaitQuerySchema,
)
from app.api.services import services
from app.jobs.inference.start import start_inference, start_single_inference
from app.jobs.processes import following, outputs

blueprint = Blueprint("inference", __name__, description="Predict with trained weights")

EXAMPLES = {
    "not waited for": {"value": INFERENCE_STARTED},
    "waited for": {"value": SINGLE_INFERENCE_ANSWERED},
}


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
@blueprint.query(WaitQuerySchema)
@blueprint.body(
    SingleInferenceRequestSchema,
    example=SINGLE_INFERENCE_REQUEST,
    form=SingleInferenceFormSchema,
    upload=SingleInferenceUploadSchema,
)
@blueprint.fails(409)
@blueprint.starts_process
@blueprint.response(201, SingleInferenceStartedSchema, examples=EXAMPLES)
def infer_single(query: dict, body: dict) -> dict:
    """Start an inference over one image.

    The image is one of: `image_url`, `image_data` (a base64 data URL), or the file `image` of a multipart form. With
    `wait` the answer comes when the inference has ended, and with `outputs`, as `/output` gives them; or without them
    after so many seconds, or at once while very many wait.
    """
    started = start_single_inference(services(), **body)
    process_id = started["process_id"]
    if not query["wait"] or not following.wait_for_end(services(), process_id, query["wait"]):
        return started
    return started | with_mask_urls(outputs.outputs(services(), process_id), process_id)
