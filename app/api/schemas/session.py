"""Who a browser is signed in as."""

import marshmallow as ma
from marshmallow import fields

from app.access.tokens import LONGEST_TOKEN
from app.api.schemas.fields import Text

SESSION = {"name": "anna", "needs_token": True}


class SignInSchema(ma.Schema):
    token = Text(longest=LONGEST_TOKEN, required=True, metadata={"description": "From `dht token create NAME`."})


class SessionSchema(ma.Schema):
    name = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the token that the request brings; null for none."}
    )
    needs_token = fields.Boolean(required=True, metadata={"description": "Whether requests without one are refused."})
