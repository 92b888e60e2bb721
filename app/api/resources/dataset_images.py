"""The samples of a dataset, to look at."""

from flask import Response, request, send_file

from app.api.blueprint import Blueprint
from app.api.schemas.dataset_images import SAMPLE, SampleQuerySchema, SampleSchema, ThumbnailQuerySchema
from app.api.services import services
from app.jobs.datasets import samples as dataset_samples

blueprint = Blueprint("dataset images", __name__, description="The samples of a dataset, with small pictures")

THUMBNAIL_SECONDS = 60


@blueprint.get("/datasets/<id:dataset_id>/images")
@blueprint.query(SampleQuerySchema)
@blueprint.response(200, SampleSchema(many=True), example=[SAMPLE])
@blueprint.paged
def list_samples(query: dict, dataset_id: int) -> list[dict]:
    """List the samples of a dataset.

    In the order of its description; with `split`, only those of that split, in its order.
    """
    rows = dataset_samples.samples(services(), dataset_id, query.get("split"))
    address = f"{request.host_url}backend/datasets/{dataset_id}/images"
    return [row | {"thumbnail": f"{address}/{row['index']}/thumbnail"} for row in rows]


@blueprint.get("/datasets/<id:dataset_id>/images/<index:sample_index>/thumbnail")
@blueprint.query(ThumbnailQuerySchema)
@blueprint.fails(422)
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
def get_thumbnail(query: dict, dataset_id: int, sample_index: int) -> Response:
    """Read a small picture of a sample.

    At most 256 pixels wide and high, upright; with `mask`, its mask is laid over it in colour. 422 says why an image
    has none.
    """
    path = dataset_samples.thumbnail(services(), dataset_id, sample_index, has_mask=query["mask"])
    return send_file(path, max_age=THUMBNAIL_SECONDS)
