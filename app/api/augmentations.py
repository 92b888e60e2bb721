"""The augmentation language: what may be written, and what a text says."""

from app.api.blueprint import Blueprint
from app.api.schemas.augmentations import (
    CHECKED,
    MIRROR,
    TEXT,
    AugmentationTextSchema,
    CheckedTextSchema,
    OperationSchema,
)
from app.augment.parser import parse
from app.augment.signatures import OPERATIONS, Augmentation, Signature

blueprint = Blueprint("augmentations", __name__, description="The language of augmentation texts")


@blueprint.get("/augmentations")
@blueprint.response(200, OperationSchema(many=True), example=[MIRROR])
@blueprint.paged
def list_augmentations() -> list[Signature]:
    """List the operations and containers of augmentation texts.

    Containers first; each with its parameters, their kinds, defaults and limits: what a form needs.
    """
    return list(OPERATIONS.values())


@blueprint.post("/augmentations/check")
@blueprint.body(AugmentationTextSchema, example=TEXT)
@blueprint.response(200, CheckedTextSchema, example=CHECKED)
def check_augmentation(body: dict) -> Augmentation:
    """Check an augmentation text.

    The answer tells how it is read, with every default filled in. 422 for a faulty one: `errors` lists every problem
    as a sentence, `problems` each with its line, its column and the line of the text with a caret. `/train` answers
    faulty texts in the same way, with the name of the property in the place of `text`.
    """
    return parse(body["text"], "text")
