"""Start a training: everything is checked before anything is stored, then stored, then enqueued."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from app.datasets.checks import check_trainable
from app.errors import InvalidInput
from app.jobs import queue
from app.jobs.datasets.checking import refuse_faulty
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
from app.jobs.training.allowed_values import all_properties, allowed_rows
from app.jobs.training.start_checks import (
    check_begins_somewhere,
    check_last_layer,
    check_pretrained,
    check_sizes,
    check_test_augmentations,
)
from app.jobs.weights.download import onnx_file
from app.training.choices import balanced_weights, check_choices
from app.training.config import TrainingConfig, resolve_properties
from app.zoo.properties import AUTO, RULES, property_key

LONGEST_WEIGHTS_NAME = 200


def start_training(services: Services, request: Mapping) -> dict:
    """Check, store and enqueue a training.

    Args:
        services: the opened service.
        request: `project_id`, `model_id`, `dataset_id`, `weights_id` (or None) and `properties`.

    Returns:
        The answer of `POST /train`.

    Raises:
        InvalidInput: naming every field that cannot be used, or the errors that the dataset's report tells.
        Conflict: when the initial weights have no file yet.
        QueueUnavailable: when Redis cannot be reached; nothing is left behind then.
    """
    database = services.database
    model = referenced(database.models, request, "model_id")
    dataset = referenced(database.datasets, request, "dataset_id")
    project = referenced(database.projects, request, "project_id")
    check_same_task(model, dataset=dataset, project=project)
    initial = _initial_weights(services, request.get("weights_id"), model)
    trained = usable_card(services, initial) if initial else None
    check_begins_somewhere(model, trained)
    config, texts = _resolved(services, request, model, dataset, trained)
    if initial and trained:
        check_last_layer(services, initial, trained, config)
    refuse_faulty(services, dataset)
    services.queue.check()
    if initial and trained and trained.engine != config.engine:
        onnx_file(services, initial["id"])  # makes it where it is not there

    weights_id = database.weights.reserve_id()
    run_config = {
        "type": queue.TRAINING,
        "description": _description(model, dataset, project, weights_id),
        "weights_id": weights_id,
        "initial_weights_id": initial["id"] if initial else None,
        "project_id": project["id"],
        "dataset": dict(dataset),
        "training": config.to_dict(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    record = _weights_record(run_config, model, dataset, texts)
    folder = services.storage.weights(weights_id)

    def store(process_id: str) -> None:
        folder.path.mkdir(parents=True)
        folder.log.touch()
        database.weights.add(record | {"process_id": process_id, "logfile": str(folder.log)})

    def undo(process_id: str) -> None:
        forget(database.weights, weights_id)
        shutil.rmtree(folder.path, ignore_errors=True)

    process_id = submit(services, run_config, store, undo)
    show_in_project(database.projects, project["id"], modelweights_id=weights_id)
    return {"result": "ok", "process_id": process_id, "weight_id": weights_id}


def _resolved(
    services: Services, request: Mapping, model: Mapping, dataset: Mapping, trained: TrainingConfig | None
) -> tuple[TrainingConfig, dict[int, str | None]]:
    """Return the config of a training, and the text of each property by id.

    `trained` is what the initial weights were trained with.
    """
    task = services.database.tasks.get(model["task_id"])["name"].lower()
    with fault_of("dataset_id"):
        description = opened_description(services, dataset)
        check_trainable(description, task)
    properties = all_properties(services.database)
    rows = allowed_rows(services.database, model["id"], dataset["id"], is_multi_label=description.is_multi_label)
    allowed = _own_sizes(trained, properties) + rows
    architecture = trained.architecture if trained else model["architecture"]
    resolved = resolve_properties(request.get("properties") or (), properties, allowed, architecture)
    config = TrainingConfig(
        task=task,
        architecture=architecture,
        classes=tuple(description.classes),
        channels=_input_channels(dataset, trained),
        is_multi_label=description.is_multi_label,
        **resolved.values,
    )
    if config.engine == AUTO:
        config = replace(config, engine=services.settings.engine)
    if trained and trained.engine != config.engine:  # the network comes in the ONNX file of its weights
        config = replace(config, architecture=f"onnx_{task}")
    check_engine(config, "Engine", description)
    check_sizes(config, trained)
    check_test_augmentations(config)
    check_pretrained(services, config, trained)
    check_choices(config, description, is_fine_tuning=trained is not None or config.pretrained != "none")
    if config.class_weights == "balanced":
        config = replace(config, loss_weights=balanced_weights(description.class_counts("training")))
    return config, resolved.texts


def _description(model: Mapping, dataset: Mapping, project: Mapping, weights_id: int) -> str:
    """Return what `rq info` and the log call the job."""
    return f'train {model["name"]} on {dataset["name"]} (project "{project["name"]}", weights {weights_id})'


def _weights_record(run_config: Mapping, model: Mapping, dataset: Mapping, texts: Mapping[int, str | None]) -> dict:
    ending = f"_{datetime.now():%Y-%m-%d_%H:%M:%S}"
    return {
        "id": run_config["weights_id"],
        "name": f"{model['name']}_{dataset['name']}"[: LONGEST_WEIGHTS_NAME - len(ending)] + ending,
        "model_id": model["id"],
        "task_id": model["task_id"],
        "dataset_id": dataset["id"],
        "pretrained_on": run_config["initial_weights_id"],
        "project_id": run_config["project_id"],
        "settings": {str(property_id): text for property_id, text in texts.items()},
        "created_at": run_config["created_at"],
    }


def _initial_weights(services: Services, weights_id: int | None, model: Mapping) -> dict | None:
    if weights_id is None:
        return None
    weights = referenced(services.database.weights, {"weights_id": weights_id}, "weights_id")
    if weights["model_id"] != model["id"]:
        raise InvalidInput.at(
            "weights_id", f"Weights {weights_id} are of model {weights['model_id']}, not of model {model['id']}."
        )
    return weights


def _input_channels(dataset: Mapping, trained: TrainingConfig | None) -> int:
    """Return the depth the network sees; weights trained on grey or colour keep theirs, images are converted to it."""
    channels = channels_of(dataset)
    if trained is None:
        return channels
    check_channels(channels, trained.channels, "weights_id")
    return trained.channels


def _own_sizes(trained: TrainingConfig | None, properties: Sequence[Mapping]) -> list[dict]:
    """Return the input size of the initial weights as the first rows to take a default from."""
    fields = {RULES[key].field: key for key in ("input height", "input width")}
    return [
        {"property_id": record["id"], "default_value": str(getattr(trained, field)), "allowed_value": None}
        for field, key in fields.items()
        for record in properties
        if trained is not None and property_key(record["name"]) == key
    ]
