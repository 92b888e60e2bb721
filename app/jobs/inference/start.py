"""Start an inference, over a dataset or one image: checked before anything is stored, then stored, then enqueued."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO

from app.datasets.checks import inference_indexes
from app.datasets.probe import probe
from app.errors import InvalidInput, MalformedRequest
from app.files import write_atomically
from app.jobs import queue
from app.jobs.datasets.registration import channels_of
from app.jobs.processes.submission import forget, show_in_project, submit
from app.jobs.request_checks import (
    check_channels,
    check_engine,
    check_same_task,
    fault_of,
    opened_description,
    referenced,
    usable_card,
)
from app.jobs.services import Services
from app.runs.layout import RunFolder
from app.training.config import TrainingConfig


def start_inference(services: Services, request: Mapping) -> dict:
    """Check, store and enqueue an inference over a dataset; raises as `start_training`."""
    database = services.database
    weights = referenced(database.weights, request, "modelweights_id")
    dataset = referenced(database.datasets, request, "dataset_id")
    project = referenced(database.projects, request, "project_id")
    check_same_task(weights, dataset=dataset, project=project)
    card = usable_card(services, weights)
    description = opened_description(services, dataset)
    with fault_of("dataset_id"):
        inference_indexes(description)
    check_engine(card, "modelweights_id", description)
    check_channels(channels_of(dataset), card.channels, "dataset_id")
    subject = f"on {dataset['name']}"
    run_config = _inference_config(weights, project, subject, card)
    run_config["dataset"] = {key: dataset[key] for key in ("id", "name", "path", "folder")}
    return _submit_inference(services, run_config, dataset["id"])


def start_single_inference(
    services: Services,
    *,
    modelweights_id: int,
    project_id: int,
    image_url: str | None = None,
    image_data: str | None = None,
    image_file: bytes | None = None,
    location: str | None = None,
) -> dict:
    """Check, store and enqueue the inference of one image, given in one of three ways; raises as `start_training`.

    `location` is what its rows call an image that comes as a file.
    """
    request = {"modelweights_id": modelweights_id, "project_id": project_id}
    weights = referenced(services.database.weights, request, "modelweights_id")
    project = referenced(services.database.projects, request, "project_id")
    check_same_task(weights, project=project)
    card = usable_card(services, weights)
    check_engine(card, "modelweights_id")
    check_channels(3, card.channels, "modelweights_id")
    field, content = _image_content(services, image_url, image_data, image_file)
    _check_image(services, field, content)
    run_config = _inference_config(weights, project, "on one image", card)
    run_config["dataset"] = None
    run_config["image"] = {"file": "image", "location": image_url or location or "image"}

    def place(run: RunFolder) -> None:
        run.inputs.mkdir(parents=True)
        write_atomically(run.inputs / "image", content)

    return _submit_inference(services, run_config, None, place)


def _submit_inference(
    services: Services, run_config: dict, dataset_id: int | None, place: Callable[[RunFolder], None] | None = None
) -> dict:
    services.queue.check()
    inferences = services.database.inferences
    inference_id = inferences.reserve_id()
    run_config["inference_id"] = inference_id
    record = {
        "id": inference_id,
        "modelweights_id": run_config["weights_id"],
        "dataset_id": dataset_id,
        "project_id": run_config["project_id"],
        "created_at": run_config["created_at"],
    }
    process_id = submit(
        services,
        run_config,
        lambda process_id: inferences.add(record | {"process_id": process_id}),
        lambda process_id: forget(inferences, inference_id),
        place,
    )
    show_in_project(services.database.projects, run_config["project_id"], inference_id=inference_id)
    return {"result": "ok", "process_id": process_id}


def _inference_config(weights: Mapping, project: Mapping, subject: str, card: TrainingConfig) -> dict:
    return {
        "type": queue.INFERENCE,
        "description": f'infer {subject} with {weights["name"]} (project "{project["name"]}", weights {weights["id"]})',
        "weights_id": weights["id"],
        "classes": list(card.classes),
        "is_multi_label": card.is_multi_label,
        "project_id": project["id"],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _image_content(
    services: Services, image_url: str | None, image_data: str | None, image_file: bytes | None
) -> tuple[str, bytes]:
    given = {"image_url": image_url, "image_data": image_data, "image": image_file}
    fields = [field for field, value in given.items() if value is not None]
    if len(fields) != 1:
        message = "Give the image in exactly one way: image_url, image_data or a file named image."
        refusal = InvalidInput if fields else MalformedRequest
        raise refusal(message, {field: [message] for field in fields or given})
    if image_file is not None:
        return "image", image_file
    if image_data is not None:
        return "image_data", _decoded(image_data)
    with fault_of("image_url"):
        return "image_url", services.fetch(str(image_url), services.settings.max_body_bytes)


def _decoded(image_data: str) -> bytes:
    """Decode a base64 data URL, or bare base64."""
    _, _, payload = image_data.rpartition(",")
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput.at(
            "image_data", "image_data is no base64 data URL; send data:image/png;base64, and then the encoded file."
        ) from error


def _check_image(services: Services, field: str, content: bytes) -> None:
    if not content:
        raise InvalidInput.at(field, f"{field}: the file is empty; send an image.")
    with fault_of(field):
        header = probe(BytesIO(content), field)
    most = services.settings.max_image_pixels
    if header.width * header.height > most:
        raise InvalidInput.at(
            field,
            f"{field}: {header.width} x {header.height} pixels are more than the {most:,} that are read "
            "(the setting MAX_IMAGE_PIXELS); send a smaller image.",
        )
