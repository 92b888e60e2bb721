"""Note every request that may change something, whatever became of it."""

from flask import Flask, Response, current_app, g, request

from app.access.audit_log import AuditLog
from app.api.middleware.gate import FORWARDED, READING
from app.errors import ToolkitError


def audit(app: Flask, log: AuditLog) -> None:
    """Write a line when such a request has been answered; nothing of its body or query, for there may be secrets."""

    @app.after_request
    def note(response: Response) -> Response:
        if request.method not in READING:
            try:
                log.write(
                    who=g.get("client"),
                    address=request.environ.get("REMOTE_ADDR"),
                    forwarded_for=next((request.headers[name] for name in FORWARDED if name in request.headers), None),
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    id=_created_id(response),
                )
            except (OSError, ToolkitError) as error:  # what was done is done, and its client is told so
                current_app.logger.error("The audit log cannot be written: %s", error)
        return response


def _created_id(response: Response) -> str | int | None:
    """Return the id of what a request made."""
    if response.status_code != 201 or not response.is_json:
        return None
    answer = response.get_json()
    return answer.get("process_id") or answer.get("id") if isinstance(answer, dict) else None
