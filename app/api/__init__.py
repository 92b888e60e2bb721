"""The REST API: its conventions are set here once, its resources are one module each."""

from flask import Flask

from app.access.audit_log import AuditLog
from app.api import (
    allowed_properties,
    augmentations,
    dataset_images,
    dataset_reports,
    datasets,
    health,
    inference,
    models,
    outputs,
    process_events,
    process_metrics,
    processes,
    projects,
    properties,
    session,
    tasks,
    training,
    training_settings,
    weights,
)
from app.api.audit import audit
from app.api.body_limit import limit_bodies
from app.api.errors import register_error_handlers
from app.api.gate import guard
from app.api.headers import allow_origins, harden, spell_reasons
from app.api.json_provider import OrjsonProvider
from app.api.limits import limit_clients
from app.api.measurements import measure
from app.api.openapi import OPENAPI_CONFIG, Api
from app.api.path_ids import IdConverter, IndexConverter, describe_id, describe_index
from app.api.uploads import UploadRequest
from app.jobs.services import Services

# In the order in which a client meets them; the documentation page keeps it.
RESOURCES = (
    tasks,
    models,
    properties,
    allowed_properties,
    augmentations,
    datasets,
    dataset_reports,
    dataset_images,
    projects,
    training,
    inference,
    processes,
    process_events,
    process_metrics,
    outputs,
    weights,
    training_settings,
    session,
    health,
)


def register_api(app: Flask, services: Services) -> None:
    """Give the application its resources and the conventions that hold for all of them."""
    settings = services.settings
    app.config.from_mapping(OPENAPI_CONFIG)
    app.json = OrjsonProvider(app)
    app.url_map.strict_slashes = False  # with or without a trailing slash, and no redirect that loses a POST's body
    app.url_map.merge_slashes = False
    app.url_map.converters.update(id=IdConverter, index=IndexConverter)
    app.request_class = UploadRequest
    measure(app)
    audit(app, AuditLog(services.storage.audit_log))  # first, so that it hears of every answer last
    guard(app, services.tokens, settings.host, settings.port, settings.cors_origins)
    limit_clients(app, services.limits)
    limit_bodies(app, settings.max_body_bytes, settings.max_upload_bytes)
    allow_origins(app, settings.cors_origins)
    harden(app)
    spell_reasons(app)
    register_error_handlers(app)
    api = Api(app)
    api.register_converter(IdConverter, describe_id)
    api.register_converter(IndexConverter, describe_index)
    for resource in RESOURCES:
        api.register_blueprint(resource.blueprint, url_prefix="/backend")
