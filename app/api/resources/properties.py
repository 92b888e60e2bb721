"""The properties that a training has."""

from app.api.blueprint import Blueprint
from app.api.schemas.properties import LEARNING_RATE, LOSS_FUNCTION, PropertyFilterSchema, PropertySchema
from app.api.services import services

blueprint = Blueprint("properties", __name__, description="The properties of a training")


@blueprint.get("/properties")
@blueprint.query(PropertyFilterSchema)
@blueprint.response(200, PropertySchema(many=True), example=[LEARNING_RATE, LOSS_FUNCTION])
@blueprint.paged
def list_properties(query: dict) -> list[dict]:
    """List the properties.

    A model or a dataset may have other defaults and values: see `/allowedProperties`. With `name`, the one of that
    name; if there is none, those that have it in their name.
    """
    return matching_names(services().database.properties.all(), query.get("name", ""))


@blueprint.get("/properties/<id:property_id>")
@blueprint.response(200, PropertySchema, example=LEARNING_RATE)
def get_property(property_id: int) -> dict:
    """Read one property.

    It holds where `/allowedProperties` answers an empty list.
    """
    return services().database.properties.get(property_id)


def matching_names(records: list[dict], wanted: str) -> list[dict]:
    """Return the records of this name or, if there is none, those with this text in their name."""
    wanted = _plain(wanted)
    whole = [record for record in records if _plain(record["name"]) == wanted]
    return whole or [record for record in records if wanted in _plain(record["name"])]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
