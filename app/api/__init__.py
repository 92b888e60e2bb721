"""The REST API: its conventions are set here once. Beside this file lies what all resources share."""

from flask import Flask

from app.access.audit_log import AuditLog
from app.api.errors import register_error_handlers
from app.api.json_provider import OrjsonProvider
from app.api.middleware.audit import audit
from app.api.middleware.body_limit import limit_bodies
from app.api.middleware.gate import guard
from app.api.middleware.headers import allow_origins, harden, spell_reasons
from app.api.middleware.limits import limit_clients
from app.api.middleware.measurements import measure
from app.api.openapi import OPENAPI_CONFIG, Api
from app.api.path_ids import IdConverter, IndexConverter, describe_id, describe_index
from app.api.resources import RESOURCES
from app.api.uploads import UploadRequest
from app.jobs.services import Services


def register_api(app: Flask, services: Services) -> None:
    """Give the application its resources and the conventions that hold for all of them."""
    settings = services.settings
    app.config.from_mapping(OPENAPI_CONFIG)
    app.json = OrjsonProvider(app)
    app.url_map.strict_slashes = False  # with or without a trailing slash, and no redirect that loses a POST's body
    app.url_map.merge_slashes = False
    app.url_map.converters.update(id=IdConverter, index=IndexConverter)
    app.request_class = UploadRequest
    # Whoever is told of a request first is told of its answer last: these two see what the others have made of it.
    measure(app)
    audit(app, AuditLog(services.storage.audit_log))
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
