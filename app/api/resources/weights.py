"""Weights: what trainings leave, and inferences and further trainings start from."""

from flask import Response, send_file

from app.api.blueprint import Blueprint
from app.api.schemas.deletion import DeletionSchema
from app.api.schemas.weights import (
    RENAMED,
    WEIGHTS,
    WeightsFilterSchema,
    WeightsListChangeSchema,
    WeightsPathChangeSchema,
    WeightsSchema,
)
from app.api.schemas.weights_upload import (
    NEW_WEIGHTS,
    UPLOADED_WEIGHTS,
    LinkedWeightsSchema,
    NewWeightsSchema,
    UploadedWeightsSchema,
)
from app.api.services import services
from app.jobs.removal.cascade import delete_weights_and_dependents
from app.jobs.removal.deletion import delete_weights as delete
from app.jobs.weights.detail import detailed
from app.jobs.weights.download import onnx_file
from app.jobs.weights.upload import upload_weights as upload
from app.jobs.weights.usable import usable_weights
from app.repositories.selection import Selection

blueprint = Blueprint("weights", __name__, description="What trainings leave")

ONNX = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}
RENAMED_WEIGHTS = {**WEIGHTS, "name": RENAMED["name"]}


@blueprint.get("/weights")
@blueprint.query(WeightsFilterSchema)
@blueprint.response(200, WeightsSchema(many=True), example=[WEIGHTS])
@blueprint.paged
def list_weights(query: dict) -> Selection:
    """List the weights of a model.

    They are listed from their first saved epoch on: each can be used for an inference or a further training.
    """
    return usable_weights(services(), **query)


@blueprint.post("/weights")
@blueprint.body(NewWeightsSchema, example=NEW_WEIGHTS, form=LinkedWeightsSchema, upload=UploadedWeightsSchema)
@blueprint.response(201, WeightsSchema, example=UPLOADED_WEIGHTS)
def upload_weights(body: dict) -> tuple[dict, dict]:
    """Upload a network as an ONNX file.

    A multipart form brings it as `file`, or `url` leads to it. It is checked and run before anything is stored: what
    the service cannot compute is refused with the reason. Then it can be used for inferences, and trained further by
    `weights_id` of `/train`. `upload` in the answer says what was found in it.
    """
    record = upload(services(), body)
    return detailed(services(), record), {"Location": f"/backend/weights/{record['id']}"}


@blueprint.put("/weights")
@blueprint.body(WeightsListChangeSchema, example=RENAMED)
@blueprint.fails(404)
@blueprint.response(200, WeightsSchema(many=True), example=[RENAMED_WEIGHTS])
def rename_weights_in_list(body: dict) -> Selection:
    """Rename the weights whose id is in the body, and list all of their model.

    As `PUT /weights/{weights_id}`, but the answer is what `GET /weights` answers for the model.
    """
    renamed = services().database.weights.update(body["id"], name=body["name"])
    return usable_weights(services(), model_id=renamed["model_id"])


@blueprint.get("/weights/<id:weights_id>")
@blueprint.response(200, WeightsSchema, example=WEIGHTS)
def get_weights(weights_id: int) -> dict:
    """Read one record of weights.

    It is there from the start of its training on. `replaced_layers` says what was drawn anew where a training started
    from other weights.
    """
    return detailed(services(), services().database.weights.get(weights_id))


@blueprint.get("/weights/<id:weights_id>/download")
@blueprint.fails(409, 416)
@blueprint.alt_response(206, schema=BINARY, content_type=ONNX)
@blueprint.response(200, BINARY, content_type=ONNX)
def download_weights(weights_id: int) -> Response:
    """Download weights as an ONNX file.

    It takes images `(N, C, H, W)` and gives probabilities, as an inference does; its metadata says what the classes are
    and how images are prepared. A training that has ended by itself has it ready; of others it is made now, which takes
    some seconds. Downloads can be resumed (`Range`, `If-Range`). 409 while there are no weights yet.
    """
    give_back = services().downloads.take()
    try:
        path, name = onnx_file(services(), weights_id)
        response = send_file(path, ONNX, as_attachment=True, download_name=name, max_age=0)
    except BaseException:
        give_back()
        raise
    response.direct_passthrough = False  # Werkzeug calls back for no file that it passes through
    response.call_on_close(give_back)
    return response


@blueprint.put("/weights/<id:weights_id>")
@blueprint.body(WeightsPathChangeSchema, example={"name": RENAMED["name"]})
@blueprint.response(200, WeightsSchema, example=RENAMED_WEIGHTS)
def rename_weights(body: dict, weights_id: int) -> dict:
    """Rename weights.

    Only the name changes. The other fields may be sent along, as clients do that edit the whole object.
    """
    return detailed(services(), services().database.weights.update(weights_id, name=body["name"]))


@blueprint.delete("/weights/<id:weights_id>")
@blueprint.query(DeletionSchema)
@blueprint.fails(409)
@blueprint.response(204)
def delete_weights(query: dict, weights_id: int) -> None:
    """Delete weights, with their file and their log.

    Those that a process uses, or that other weights started from, are kept: 409 names which.
    With `cascade`, the weights that started from them, and the inferences of all, go too; nothing
    goes while a process of one of them has not ended.
    """
    delete_all = delete_weights_and_dependents if query["cascade"] else delete
    delete_all(services(), weights_id)
