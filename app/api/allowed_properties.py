"""What a model, or a model on one dataset, makes of a property."""

from app.api.blueprint import Blueprint
from app.api.schemas.properties import ALLOWED_LOSS, AllowedPropertyFilterSchema, AllowedPropertySchema
from app.api.services import services

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
    dataset_id = query.pop("dataset_id", None)
    rows = services().database.allowed_properties.find(**query)
    special = [row for row in rows if dataset_id is not None and row["dataset_id"] == dataset_id]
    return special + [row for row in rows if row["dataset_id"] is None]
