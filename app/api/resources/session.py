"""The session of a browser: its token in a cookie, for what pages load without a header of their own."""

from flask import current_app, g, jsonify, request
from flask.wrappers import Response

from app.api.blueprint import Blueprint
from app.api.middleware.gate import BAD_TOKEN, needs_token
from app.api.schemas.session import SESSION, SessionSchema, SignInSchema
from app.api.services import services
from app.errors import NotAuthenticated

blueprint = Blueprint("session", __name__, description="Signing in with a browser")

SECONDS = 30 * 24 * 3600


@blueprint.get("/session")
@blueprint.response(200, SessionSchema, example=SESSION)
def get_session() -> dict:
    """Tell who is signed in.

    Also whether requests need a token at all. This needs none.
    """
    return {"name": g.client, "needs_token": needs_token(services().tokens)}


@blueprint.post("/session")
@blueprint.body(SignInSchema, example={"token": "dht_..."})
@blueprint.response(200, SessionSchema, example=SESSION)
def create_session(body: dict) -> Response:
    """Sign a browser in.

    The answer sets the token as a cookie that scripts cannot read, so that pages can show images and follow streams of
    events, which take no header. It is good for as long as the token is. Programs send the header instead.
    """
    name = services().tokens.owner(body["token"])
    if name is None:
        raise NotAuthenticated(BAD_TOKEN)
    answer = jsonify({"name": name, "needs_token": True})
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    answer.set_cookie(
        current_app.config["TOKEN_COOKIE"],
        body["token"],
        max_age=SECONDS,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_secure,
    )
    return answer


@blueprint.delete("/session")
@blueprint.response(204)
def delete_session() -> Response:
    """Sign a browser out.

    Its cookie is taken back; the token stays valid.
    """
    answer = Response(status=204)
    answer.delete_cookie(current_app.config["TOKEN_COOKIE"], path="/", httponly=True, samesite="Strict")
    return answer
