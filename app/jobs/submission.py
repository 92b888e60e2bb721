"""Processes are started here: everything is checked before anything is stored, then stored, then enqueued."""

import base64
import binascii
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO

from app.augment.parser import parse
from app.augment.signatures import moves_pixels
from app.datasets.checks import check_trainable, inference_indexes
from app.datasets.description import Description
from app.datasets.fetch import fetch
from app.datasets.probe import probe
from app.errors import Conflict, InvalidInput, JobFailure, NotFound
from app.files import write_atomically
from app.jobs import queue
from app.jobs.datasets import open_dataset
from app.jobs.registration import channels_of
from app.jobs.services import Services
from app.repositories.repository import Repository
from app.runs.layout import RunFolder
from app.runs.writer import create_run
from app.training.checkpoints import read_card
from app.training.config import TrainingConfig, resolve_properties
from app.zoo.architectures import SEGMENTATION

LONGEST_WEIGHTS_NAME = 200


def start_training(services: Services, request: Mapping) -> dict:
    """Check, store and enqueue a training.

    Args:
        services: the opened service.
        request: `project_id`, `model_id`, `dataset_id`, `weights_id` (or None) and `properties`.

    Returns:
        The answer of `POST /train`.

    Raises:
        InvalidInput: naming every field that cannot be used.
        Conflict: when the initial weights have no file yet.
        QueueUnavailable: when Redis cannot be reached; nothing is left behind then.
    """
    database = services.database
    model = _referenced(database.models, request, "model_id")
    dataset = _referenced(database.datasets, request, "dataset_id")
    project = _referenced(database.projects, request, "project_id")
    _check_same_task(model, dataset=dataset, project=project)
    initial = _initial_weights(services, request.get("weights_id"), model)
    description = _opened(dataset)
    task = database.tasks.get(model["task_id"])["name"].lower()
    with _fault_of("dataset_id"):
        check_trainable(description, task)
    resolved = resolve_properties(
        request.get("properties") or (),
        database.properties.all(),
        _allowed(services, model, dataset),
        model["architecture"],
    )
    config = TrainingConfig(
        task=task,
        architecture=model["architecture"],
        classes=tuple(description.classes),
        channels=_input_channels(services, dataset, initial),
        **resolved.values,
    )
    _check_test_augmentations(config)
    services.queue.check()

    now = datetime.now(UTC)
    weights_id = database.weights.reserve_id()
    folder = services.storage.weights(weights_id)
    title = f'train {model["name"]} on {dataset["name"]} (project "{project["name"]}", weights {weights_id})'
    run_config = {
        "type": queue.TRAINING,
        "description": title,
        "weights_id": weights_id,
        "initial_weights_id": initial["id"] if initial else None,
        "project_id": project["id"],
        "dataset": {key: dataset[key] for key in ("id", "name", "path", "folder")},
        "training": config.to_dict(),
        "created_at": now.isoformat(timespec="seconds"),
    }
    ending = f"_{datetime.now():%Y-%m-%d_%H:%M:%S}"
    record = {
        "id": weights_id,
        "name": f"{model['name']}_{dataset['name']}"[: LONGEST_WEIGHTS_NAME - len(ending)] + ending,
        "logfile": str(folder.log),
        "model_id": model["id"],
        "task_id": model["task_id"],
        "dataset_id": dataset["id"],
        "pretrained_on": initial["id"] if initial else None,
        "project_id": project["id"],
        "settings": {str(property_id): text for property_id, text in resolved.texts.items()},
        "created_at": run_config["created_at"],
    }

    def store(process_id: str) -> None:
        folder.path.mkdir(parents=True)
        folder.log.touch()
        database.weights.add(record | {"process_id": process_id})

    def undo() -> None:
        _forget(database.weights, weights_id)
        shutil.rmtree(folder.path, ignore_errors=True)

    process_id = _submit(services, run_config, store, undo)
    _show_in_project(database.projects, project["id"], modelweights_id=weights_id)
    return {"result": "ok", "process_id": process_id, "weight_id": weights_id}


def start_inference(services: Services, request: Mapping) -> dict:
    """Check, store and enqueue an inference over a dataset; raises as `start_training`."""
    database = services.database
    weights = _referenced(database.weights, request, "modelweights_id")
    dataset = _referenced(database.datasets, request, "dataset_id")
    project = _referenced(database.projects, request, "project_id")
    _check_same_task(weights, dataset=dataset, project=project)
    card = _usable_card(services, weights)
    description = _opened(dataset)
    with _fault_of("dataset_id"):
        inference_indexes(description)
    _check_channels(channels_of(dataset), card.channels, "dataset_id")
    subject = f"on {dataset['name']}"
    run_config = _inference_config(weights, project, subject)
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
) -> dict:
    """Check, store and enqueue the inference of one image, given in one of three ways; raises as `start_training`."""
    request = {"modelweights_id": modelweights_id, "project_id": project_id}
    weights = _referenced(services.database.weights, request, "modelweights_id")
    project = _referenced(services.database.projects, request, "project_id")
    _check_same_task(weights, project=project)
    _usable_card(services, weights)
    field, content = _image_content(services, image_url, image_data, image_file)
    _check_image(services, field, content)
    run_config = _inference_config(weights, project, "on one image")
    run_config["dataset"] = None
    run_config["image"] = {"file": "image", "location": image_url or "image"}

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
    process_id = _submit(
        services,
        run_config,
        lambda process_id: inferences.add(record | {"process_id": process_id}),
        lambda: _forget(inferences, inference_id),
        place,
    )
    _show_in_project(services.database.projects, run_config["project_id"], inference_id=inference_id)
    return {"result": "ok", "process_id": process_id}


def _submit(
    services: Services,
    run_config: dict,
    store: Callable[[str], object],
    undo: Callable[[], None],
    place: Callable[[RunFolder], None] | None = None,
) -> str:
    """Make the run folder, store the record, enqueue; take all of it back when any step fails."""
    process_id = str(uuid.uuid4())
    run = RunFolder(services.storage.runs / process_id)
    try:
        if place is not None:
            place(run)
        create_run(run, {"process_id": process_id, **run_config})
        store(process_id)
        services.queue.enqueue(run_config["type"], process_id, run_config["description"])
    except BaseException:
        undo()
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return process_id


def _referenced(repository: Repository, request: Mapping, field: str) -> dict:
    try:
        return repository.get(request[field])
    except NotFound as error:
        raise InvalidInput.at(field, error.message) from error


def _check_same_task(first: Mapping, **others: Mapping) -> None:
    for name, record in others.items():
        if record["task_id"] != first["task_id"]:
            raise InvalidInput.at(
                f"{name}_id",
                f"The {name} {record['name']!r} is of task {record['task_id']}, the model of task {first['task_id']}; "
                "choose ones of the same task.",
            )


def _initial_weights(services: Services, weights_id: int | None, model: Mapping) -> dict | None:
    if weights_id is None:
        return None
    weights = _referenced(services.database.weights, {"weights_id": weights_id}, "weights_id")
    if weights["model_id"] != model["id"]:
        raise InvalidInput.at(
            "weights_id", f"Weights {weights_id} are of model {weights['model_id']}, not of model {model['id']}."
        )
    _usable_card(services, weights)
    return weights


def _input_channels(services: Services, dataset: Mapping, initial: Mapping | None) -> int:
    """Return the depth the network sees; weights trained on grey or colour keep theirs, images are converted to it."""
    channels = channels_of(dataset)
    if initial is None:
        return channels
    trained = _usable_card(services, initial).channels
    _check_channels(channels, trained, "weights_id")
    return trained


def _check_channels(channels: int, trained: int, field: str) -> None:
    if channels != trained and not {channels, trained} <= {1, 3}:
        raise InvalidInput.at(field, f"The dataset has {channels} planes, but the weights were trained on {trained}.")


def _usable_card(services: Services, weights: Mapping) -> TrainingConfig:
    folder = services.storage.weights(weights["id"])
    if not folder.has_weights():
        raise Conflict(
            f"Weights {weights['id']} have no file yet; wait until their training has saved its first epoch."
        )
    return read_card(folder)


@contextmanager
def _fault_of(field: str) -> Iterator[None]:
    """Lay the fault of what a field refers to at the field."""
    try:
        yield
    except (JobFailure, InvalidInput) as error:
        faults = [fault for faults in error.errors.values() for fault in faults] or [error.message]
        raise InvalidInput(error.message, {field: faults}) from error


def _opened(dataset: Mapping) -> Description:
    with _fault_of("dataset_id"):
        return open_dataset(dataset).description


def _allowed(services: Services, model: Mapping, dataset: Mapping) -> list[dict]:
    rows = services.database.allowed_properties.find(model_id=model["id"])
    of_dataset = [row for row in rows if row["dataset_id"] == dataset["id"]]
    return of_dataset + [row for row in rows if row["dataset_id"] is None]


def _check_test_augmentations(config: TrainingConfig) -> None:
    """Refuse, for segmentation, test augmentations after which a mask no longer lies on its source image."""
    if config.task != SEGMENTATION:
        return
    moving = moves_pixels(parse(config.test_augmentations))
    if moving:
        message = (
            f"Test augmentations: {moving[0]} moves pixels, so that predicted masks would not fit their images; "
            "leave it out of the test text."
        )
        raise InvalidInput("Test augmentations: " + message.partition(": ")[2], {"Test augmentations": [message]})


def _inference_config(weights: Mapping, project: Mapping, subject: str) -> dict:
    return {
        "type": queue.INFERENCE,
        "description": f'infer {subject} with {weights["name"]} (project "{project["name"]}", weights {weights["id"]})',
        "weights_id": weights["id"],
        "project_id": project["id"],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _show_in_project(projects: Repository, project_id: int, **latest: int) -> None:
    try:
        projects.update(project_id, **latest)
    except NotFound:
        # Deleted in between: the process goes on, there is just no project to show it in.
        return


def _forget(repository: Repository, record_id: int) -> None:
    try:
        repository.delete(record_id)
    except NotFound:
        return


def _image_content(
    services: Services, image_url: str | None, image_data: str | None, image_file: bytes | None
) -> tuple[str, bytes]:
    given = {"image_url": image_url, "image_data": image_data, "image": image_file}
    fields = [field for field, value in given.items() if value is not None]
    if len(fields) != 1:
        message = "Give the image in exactly one way: image_url, image_data or a file named image."
        raise InvalidInput(message, {field: [message] for field in fields or given})
    if image_file is not None:
        return "image", image_file
    if image_data is not None:
        return "image_data", _decoded(image_data)
    settings = services.settings
    with _fault_of("image_url"):
        content = fetch(
            str(image_url),
            limit_bytes=settings.max_body_bytes,
            timeout_seconds=settings.url_timeout_seconds,
            allowed_hosts=settings.url_hosts,
        )
    return "image_url", content


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
    with _fault_of(field):
        header = probe(BytesIO(content), field)
    if header.width * header.height > services.settings.max_image_pixels:
        raise InvalidInput.at(
            field,
            f"{field}: {header.width} x {header.height} pixels are more than the limit of "
            f"{services.settings.max_image_pixels}.",
        )
