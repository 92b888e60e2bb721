"""The augmentation language: what may be written, and what a text says."""

from flask import Response

from app.api.blueprint import Blueprint
from app.api.schemas.augmentations import (
    CHECKED,
    MIRROR,
    PREVIEW,
    TEXT,
    AugmentationTextSchema,
    CheckedTextSchema,
    OperationSchema,
    PreviewFormSchema,
    PreviewRequestSchema,
    PreviewUploadSchema,
)
from app.api.services import services
from app.augment.parser import parse
from app.augment.signatures import OPERATIONS, Augmentation, Signature
from app.jobs.augmentation.previews import preview_augmentation as preview

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


@blueprint.post("/augmentations/preview")
@blueprint.body(PreviewRequestSchema, example=PREVIEW, form=PreviewFormSchema, upload=PreviewUploadSchema)
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
def preview_augmentation(body: dict) -> Response:
    """Show what an augmentation text does to an image.

    The answer is one PNG with the original and `count` results, to one scale, masks outlined: what a training with
    this seed shows a network in its epochs 1, 2, ... The image is one of a dataset (`dataset_id`, `image_index`), or
    the file `image` of a multipart form, with or without the file `mask`. Floating-point results from 0 to 1 are shown
    as 0 to 255, any others from the lowest to the highest value of all results. The same request gives the same PNG.
    """
    return Response(preview(services(), body), mimetype="image/png")
