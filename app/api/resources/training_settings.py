"""The properties that a training used."""

from app.api.blueprint import Blueprint
from app.api.schemas.training import TRAINING_SETTING, TrainingSettingFilterSchema, TrainingSettingSchema
from app.api.services import services

blueprint = Blueprint("trainingSettings", __name__, description="The properties that a training used")


@blueprint.get("/trainingSettings")
@blueprint.query(TrainingSettingFilterSchema)
@blueprint.response(200, TrainingSettingSchema(many=True), example=[TRAINING_SETTING])
@blueprint.paged
def list_training_settings(query: dict) -> list[dict]:
    """List every property that a training used.

    Defaults are included. With `property_id`, only that one.
    """
    records = services().database.weights.find(id=query["modelweights_id"])
    settings = [setting for record in records for setting in settings_of(record)]
    return [
        setting for setting in settings if setting["property_id"] == query.get("property_id", setting["property_id"])
    ]


def settings_of(weights: dict) -> list[dict]:
    """Return the settings that are stored with weights, one for each property, ordered by its id."""
    by_property = sorted((int(property_id), value) for property_id, value in weights["settings"].items())
    return [{"modelweights_id": weights["id"], "property_id": key, "value": value} for key, value in by_property]
