"""What the views work with."""

from typing import cast

from flask import current_app

from app.jobs.services import Services


def services() -> Services:
    """Return the database, the storage and the queue of the application that answers this request."""
    return cast(Services, current_app.extensions["toolkit"])
