"""Hold each client to the limits of the settings."""

from flask import Flask, Response, g, request

from app.jobs.client_limits import ClientLimits

STARTING = frozenset(["training.train", "inference.infer", "inference.infer_single", "processes.retry_process"])
UNLIMITED = frozenset(["pages.static", "health.get_health", "measurements.show_metrics"])


def limit_clients(app: Flask, limits: ClientLimits) -> None:
    """Refuse with 429 who asks for too much; a client is a token, or without one an address."""

    @app.before_request
    def check() -> None:
        if request.method == "OPTIONS" or request.endpoint in UNLIMITED:
            return
        limits.check_rate(_client())
        if request.endpoint in STARTING:
            limits.check_waiting(_client())

    @app.after_request
    def note(response: Response) -> Response:
        if request.endpoint in STARTING and response.status_code == 201:
            limits.note_job(_client(), response.get_json()["process_id"])
        return response


def _client() -> str:
    return f"token:{g.client}" if g.client else f"address:{request.remote_addr}"
