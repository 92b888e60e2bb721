"""What an inference gave: its rows, and the masks that they point to."""

from urllib.parse import quote

from flask import Response, request, send_file

from app.api.blueprint import Blueprint
from app.api.schemas.outputs import (
    CLASSIFICATION_OUTPUTS,
    SEGMENTATION_OUTPUTS,
    UNFINISHED_OUTPUTS,
    OutputQuerySchema,
    OutputSchema,
)
from app.api.schemas.pages import wanted_page
from app.api.services import services
from app.jobs.processes import outputs

blueprint = Blueprint("outputs", __name__, description="What inferences gave")

EXAMPLES = {
    "classification": {"value": CLASSIFICATION_OUTPUTS},
    "segmentation": {"value": SEGMENTATION_OUTPUTS},
    "not finished": {"value": UNFINISHED_OUTPUTS},
}


@blueprint.get("/output")
@blueprint.query(OutputQuerySchema)
@blueprint.fails(404)
@blueprint.alt_response(200, schema={"type": "string"}, content_type="text/csv")
@blueprint.response(200, OutputSchema, examples=EXAMPLES)
def get_output(query: dict) -> Response | tuple[dict, dict]:
    """Read what an inference gave.

    One row for every image of the test split, in its order; none before the inference has finished, and then `result`
    says why. With `format=csv` the answer is a table, with a header line.
    """
    process_id = query["process_id"]
    page, page_size = wanted_page(query)
    if query["format"] == "csv":
        table = outputs.outputs_csv(services(), process_id, masks_address(process_id), page, page_size)
        return Response(table, mimetype="text/csv")
    answer = outputs.outputs(services(), process_id, page, page_size)
    headers = blueprint.page_header(page, page_size, answer.get("count", 0)) if page and page_size else {}
    return with_mask_urls(answer, process_id), headers


@blueprint.get("/outputs/<process_id>/<file_name>")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
def get_output_file(process_id: str, file_name: str) -> Response:
    """Read one mask.

    It has the size of its source image. The value of a pixel is the index of its class; with up to two
    classes, 0 or 255.
    """
    return send_file(outputs.output_file(services(), process_id, file_name))


def masks_address(process_id: str) -> str:
    """Return what stands before the file name of a mask in its URL."""
    return f"{request.host_url}backend/outputs/{process_id}/"


def with_mask_urls(answer: dict, process_id: str) -> dict:
    """Return the answer with the full URL of each mask: pages of other origins cannot use less."""
    rows = [masks_address(process_id) + quote(row) if isinstance(row, str) else row for row in answer["outputs"]]
    return {**answer, "outputs": rows}
