"""Who gets in: with a token anyone, without one only programs of this machine, and only while there are no tokens."""

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from app.access.exposure import is_loopback, names_this_machine
from app.access.tokens import Tokens
from app.errors import Forbidden, NotAuthenticated, ToolkitError

READING = frozenset(["GET", "HEAD", "OPTIONS"])
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
# They tell nothing of what is stored; a person needs them to find out how to sign in, a load balancer to ask for life.
PUBLIC = frozenset(
    [
        "pages.show_start",
        "pages.show_documentation",
        "pages.static",
        "api-docs.openapi_json",
        "health.get_health",  # the word alone
        "session.get_session",
        "session.create_session",
        "session.delete_session",
    ]
)
NO_TOKENS = (
    "This service has no token yet, so it answers only programs on its own machine; "
    "make one there with dht token create NAME."
)
NO_TOKEN = (
    "This service needs a token: send it in the header Authorization: Bearer TOKEN; "
    "dht token create NAME makes one on the machine of the service."
)
BAD_TOKEN = "The token is not known here, was revoked or has expired; dht token create NAME makes a new one."


def guard(app: Flask, tokens: Tokens, host: str, port: int, origins: Collection[str]) -> None:
    """Find out who sends each request, and refuse those who may not, before anything of it is read or done.

    Args:
        app: gets the check.
        tokens: those that are valid.
        host: what the web server listens on, as far as the settings know.
        port: likewise.
        origins: web origins whose pages may send requests that change something.
    """
    is_exposed = not is_loopback(host)
    app.config["TOKEN_COOKIE"] = f"dht_token_{port}"  # browsers keep cookies by host, whatever the port

    @app.before_request
    def check() -> None:
        g.client = _client(tokens)
        if request.method not in READING and not _has_header():
            _check_origin(origins)
        if g.client or request.method == "OPTIONS" or request.endpoint in PUBLIC:
            return
        if tokens.exist():
            raise NotAuthenticated(NO_TOKEN)
        if is_exposed or not _is_from_this_machine():
            raise NotAuthenticated(NO_TOKENS)


def needs_token(tokens: Tokens) -> bool:
    """Tell whether the sender of this request needs a token, for other requests than this."""
    return tokens.exist() or not _is_from_this_machine()


def still_admits(tokens: Tokens) -> Callable[[], bool]:
    """Return what tells, while a long answer is sent, whether the sender of this request would be let in now."""
    token = _token() if g.client else None

    def tell() -> bool:
        try:
            return tokens.owner(token) is not None if token else not tokens.exist()
        except ToolkitError:  # nobody can read the tokens now, so nobody is let in
            return False

    return tell


def _client(tokens: Tokens) -> str | None:
    """Return the name of the token that the request brings; one that is not valid is refused, never overlooked."""
    token = _token()
    try:
        client = tokens.owner(token) if token else None
    except ToolkitError:  # the storage folder is gone, which /health is to tell
        if request.endpoint not in PUBLIC:
            raise
        client = None
    if not client and _has_header() and request.endpoint not in PUBLIC:
        raise NotAuthenticated(BAD_TOKEN if token else NO_TOKEN)
    return client


def _token() -> str | None:
    """Return the token that the request brings, in its header or else in the cookie of a page."""
    if not _has_header():
        return request.cookies.get(current_app.config["TOKEN_COOKIE"])
    credentials = request.authorization
    return credentials.token if credentials and credentials.type == "bearer" else None


def _check_origin(origins: Collection[str]) -> None:
    """Refuse a web page of elsewhere: browsers send what it wants to any address, and what they know with it."""
    origin = request.headers.get("Origin")
    if not origin or origin in origins or "*" in origins or urlsplit(origin).netloc == request.host:
        return
    raise Forbidden(
        f"Pages of {origin[:100]!r} may not change anything here; "
        "whoever runs the service can name them in the setting CORS_ORIGINS."
    )


def _is_from_this_machine() -> bool:
    """Tell whether a program of this machine sent the request, to a name of this machine, and not on behalf of others.

    A page whose own name was made to lead to this machine (DNS rebinding) still sends that name.
    """
    peer = request.environ.get("REMOTE_ADDR", "")
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return not is_forwarded and (not peer or names_this_machine(peer)) and names_this_machine(_host_name())


def _host_name() -> str:
    return urlsplit(f"//{request.host}").hostname or ""


def _has_header() -> bool:
    return "Authorization" in request.headers
