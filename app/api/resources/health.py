"""How the service is: for people, monitors and load balancers."""

from contextlib import suppress

from flask import g

from app.api.blueprint import Blueprint
from app.api.middleware.gate import needs_token
from app.api.schemas.health import HEALTH, HealthSchema
from app.api.services import services
from app.errors import ToolkitError
from app.jobs.health import FAILING, health

blueprint = Blueprint("health", __name__, description="How the service is")

FAILING_RESPONSE = {
    "description": "The service cannot keep or queue what is sent to it.",
    "content": {"application/json": {"schema": HealthSchema}},
}


@blueprint.get("/health")
@blueprint.doc(responses={503: FAILING_RESPONSE})
@blueprint.response(200, HealthSchema, example=HEALTH)
def get_health() -> tuple[dict, int]:
    """Tell how the service is.

    `ok`, and `degraded` when something needs a person but every request is answered, with 200; `failing` with 503. No
    token is needed for the word alone. The answer takes a second at most, and a tenth of one where it is asked for
    every few seconds, whatever hangs.
    """
    found = health(services())
    return (found if _is_told_all() else {"status": found["status"]}), 503 if found["status"] == FAILING else 200


def _is_told_all() -> bool:
    """Tell whether the sender may know more than the word; nobody may while the tokens cannot be read."""
    with suppress(ToolkitError):
        return g.client is not None or not needs_token(services().tokens)
    return False
