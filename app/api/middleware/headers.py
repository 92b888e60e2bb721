"""What every answer carries: its reason in words, which web pages may read it, and what browsers may do with it."""

from collections.abc import Collection

from flask import Flask, Response, request
from werkzeug.http import HTTP_STATUS_CODES

ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
ALLOWED_HEADERS = "Accept, Authorization, Content-Type, X-Requested-With"
EXPOSED_HEADERS = "Location, X-Pagination, Content-Disposition"
PREFLIGHT_SECONDS = "600"
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"  # plots as SVG have styles
HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-store",
}
SHARED = frozenset(["pages.static", "api-docs.openapi_json", "pages.show_documentation", "pages.show_start"])


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins read every answer, errors and preflights included; `*` stands for all of them."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin and (origin in origins or "*" in origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            if origin in origins:  # not for `*`: a cookie is for pages that somebody has named
                response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            if request.method == "OPTIONS":
                if response.status_code == 404 and "Access-Control-Request-Method" in request.headers:
                    # A browser hides the error of a request whose preflight failed: this one may pass, and be told.
                    response = Response(status="204 No Content", headers=response.headers)
                    del response.headers["Content-Length"]
                response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
                response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
                response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        return response


def harden(app: Flask) -> None:
    """Tell browsers to guess no types, run nothing, show nothing in foreign frames, and keep and pass on little."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HARDENING.items():
            if name != "Cache-Control" or request.endpoint not in SHARED:
                response.headers.setdefault(name, value)
        if request.endpoint not in SHARED and not response.cache_control.no_store:
            response.cache_control.public = False  # a proxy would give it to people who have no token
            response.cache_control.private = True
        if response.status_code == 204 or (request.method == "OPTIONS" and response.status_code == 200):
            response.headers.pop("Content-Type", None)  # there is nothing that would have one
        return response


def spell_reasons(app: Flask) -> None:
    """Send `201 Created` where Werkzeug has `201 CREATED`: the toolkit's GUI compares the words."""

    @app.after_request
    def set_reason(response: Response) -> Response:
        reason = HTTP_STATUS_CODES.get(response.status_code)
        if reason:
            response.status = f"{response.status_code} {reason}"
        return response
