"""What a model, or a model on one dataset, makes of a property."""

from app.api.blueprint import Blueprint
from app.api.schemas.properties import ALLOWED_LOSS, AllowedPropertyFilterSchema, AllowedPropertySchema
from app.api.services import services
from app.jobs.training.allowed_values import allowed_rows

blueprint = Blueprint("allowedProperties", __name__, description="Properties that a model restricts")


@blueprint.get("/allowedProperties")
@blueprint.query(AllowedPropertyFilterSchema)
@blueprint.response(200, AllowedPropertySchema(many=True), example=[ALLOWED_LOSS])
@blueprint.paged
def list_allowed_properties(query: dict) -> list[dict]:
    """List the values and the default that a property has for a model.

    An empty list means that `/properties/{id}` holds. With `dataset_id`, what holds for that dataset alone comes
    first, before what holds for every dataset.
    """
    database, dataset_id = services().database, query.get("dataset_id")
    is_multi_label = any(record.get("is_multi_label") for record in database.datasets.find(id=dataset_id))
    rows = allowed_rows(database, query["model_id"], dataset_id, is_multi_label=is_multi_label)
    return [row for row in rows if row["property_id"] == query["property_id"]]
