"""The DeepHealth backend. `create_app` is the only place that wires its objects together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Build the web application: the REST API under /backend and the page that documents it.

    The storage folder is filled with what is missing of the tasks, models, properties and shipped datasets.

    Args:
        settings: the options to run with; by default those of the environment.

    Raises:
        ConfigurationError: for a setting that cannot be used.
        StorageUnavailable: if the storage folder cannot be read or written.
    """
    # Imported on use: workers import this package too, and need no web framework.
    from flask import Flask

    from app.access.exposure import refuse_exposure
    from app.api import register_api
    from app.jobs.initialisation import initialise
    from app.jobs.services import open_services
    from app.settings import Settings
    from app.web.pages import pages

    settings = settings or Settings.from_environment()
    services = open_services(settings)
    refuse_exposure([settings.host], services.tokens)
    initialise(services)
    app = Flask("app", static_folder=None)
    app.extensions["toolkit"] = services
    register_api(app, services)
    app.register_blueprint(pages)
    return app
