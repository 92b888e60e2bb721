"""Go on with a training that was stopped, failed or killed: a new process with the weights of the old one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from app.errors import Conflict, InvalidInput, NotFound
from app.jobs import queue
from app.jobs.datasets.checking import refuse_faulty
from app.jobs.processes.following import Process, find_process
from app.jobs.processes.submission import show_in_project, submit
from app.jobs.request_checks import check_engine
from app.jobs.services import Services
from app.jobs.training.allowed_values import all_properties
from app.runs.configs import EpochRow
from app.runs.reader import read_rows
from app.runs.state import FINISHED
from app.training.config import TrainingConfig, resolve_properties, stored_config
from app.zoo.properties import AUTO, RULES, property_key

LAID_OUT_SCHEDULES = ("cosine", "step")
REFERENCES = {"project_id": "project", "model_id": "model", "dataset_id": "dataset", "weights_id": "initial weights"}


def resume_training(services: Services, request: Mapping) -> dict:
    """Check, store and enqueue the continuation of a training.

    Args:
        services: the opened service.
        request: `resume`, the process id of the training; what else it holds has to agree with that training, but for
            the property Epochs, which may grow.

    Returns:
        The answer of `POST /train`.

    Raises:
        NotFound: for an id that no process has, or whose weights were deleted.
        InvalidInput: naming every field that cannot be used.
        Conflict: while the training goes on, once it has gone on in another process, or when nothing is left to do.
        QueueUnavailable: when Redis cannot be reached; nothing has changed then.
    """
    process = find_process(services, request["resume"])
    if process.config["type"] != queue.TRAINING:
        raise InvalidInput.at(
            "resume",
            f"Process {process.id} is no training; only trainings are resumed, and "
            f"POST /backend/processes/{process.id}/retry runs others again.",
        )
    weights = services.database.weights.get(process.config["weights_id"])
    _check_newest(weights, process)
    _check_references(weights, request)
    config, settings = _resumed_config(services, process, weights, request.get("properties") or ())
    check_engine(config, "resume")
    _check_unfinished(services, process, config)
    dataset = services.database.datasets.get(weights["dataset_id"])
    refuse_faulty(services, dataset)
    services.queue.check()

    began_with = {name: value for name, value in process.config["dataset"].items() if name == "fingerprint"}
    run_config = {name: value for name, value in process.config.items() if name != "process_id"} | {
        "description": process.config["description"].removesuffix(", resumed") + ", resumed",
        "resumed_from": process.id,
        "dataset": dataset | began_with,
        "training": config.to_dict(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }

    def store(process_id: str) -> None:
        def go_on(record: dict) -> dict:
            _check_newest(record, process)  # another request may have been quicker
            return record | {"process_id": process_id, "settings": settings}

        services.database.weights.transform(weights["id"], go_on)

    def undo(process_id: str) -> None:
        def go_back(record: dict) -> dict:
            before = {name: weights[name] for name in ("process_id", "settings")}
            return record | before if record["process_id"] == process_id else record

        with suppress(NotFound):
            services.database.weights.transform(weights["id"], go_back)

    process_id = submit(services, run_config, store, undo)
    show_in_project(services.database.projects, weights["project_id"], modelweights_id=weights["id"])
    return {"result": "ok", "process_id": process_id, "weight_id": weights["id"]}


def _check_newest(weights: Mapping, process: Process) -> None:
    if weights["process_id"] != process.id:
        raise Conflict(
            f"Training {process.id} goes on in process {weights['process_id']} already; "
            "once that has ended, resume that one."
        )
    if not process.state.is_final:
        raise Conflict(f"Training {process.id} has not ended ({process.state.state}); stop it before you resume it.")


def _check_references(weights: Mapping, request: Mapping) -> None:
    """Make sure that ids which are sent along are those of the training."""
    own = {**weights, "weights_id": weights["pretrained_on"]}
    faults = {
        field: [f"{field}: the training that is resumed has {noun} {own[field]}; send that, or leave it out."]
        for field, noun in REFERENCES.items()
        if request.get(field) not in (None, own[field])
    }
    if faults:
        raise InvalidInput(next(iter(faults.values()))[0], faults)


def _resumed_config(
    services: Services, process: Process, weights: Mapping, requested: Sequence[Mapping]
) -> tuple[TrainingConfig, dict[str, str | None]]:
    """Return the config to go on with, and its property texts; every property that was sent is compared."""
    config = stored_config(process.run.config, process.config["training"])
    properties = all_properties(services.database)
    stored = [
        {
            "property_id": record["id"],
            "default_value": weights["settings"].get(str(record["id"])),
            "allowed_value": None,
        }
        for record in properties
    ]
    unlimited = [record | {"values": None} for record in properties]  # what the training has was allowed once
    resolved = resolve_properties(requested, unlimited, stored, config.architecture)
    sent = {property_key(item["name"]) for item in requested}
    faults: dict[str, list[str]] = {}
    for record in properties:
        key = property_key(record["name"])
        if key not in sent or key not in RULES:
            continue
        field = RULES[key].field
        before, now = getattr(config, field), resolved.values[field]
        if field == "engine" and now == AUTO:  # the setting ENGINE may have changed since
            continue
        is_fixed = field != "epochs" or config.lr_schedule in LAID_OUT_SCHEDULES
        if now != before and (is_fixed or now < before):
            was = weights["settings"].get(str(record["id"]))
            what = "may only grow" if not is_fixed else "cannot change"
            if is_fixed and field == "epochs":
                what += f", for its LR schedule ({config.lr_schedule}) is laid out for that many"
            faults[record["name"]] = [
                f"{record['name']}: it is {was!r} in the training that is resumed, and {what}; "
                f"start a new training with weights_id {weights['id']} for another."
            ]
    if faults:
        raise InvalidInput(next(iter(faults.values()))[0], faults)
    texts = {str(property_id): text for property_id, text in resolved.texts.items()}
    kept = {key: texts[key] for key in texts if key in weights["settings"]}
    return replace(config, epochs=resolved.values["epochs"]), weights["settings"] | kept


def _check_unfinished(services: Services, process: Process, config: TrainingConfig) -> None:
    """Refuse to go on where nothing is left to do: all epochs are done, or the training ended itself early."""
    if process.state.state != FINISHED:
        return
    rows = read_rows(services.storage.weights(process.config["weights_id"]).metrics, EpochRow)
    done = max((row["epoch"] for row in rows), default=0)
    planned = process.config["training"]["epochs"]
    if done < planned:
        raise Conflict(
            f"Training {process.id} ended early, for it did not improve any more; nothing is left to resume."
        )
    if config.epochs <= done:
        raise Conflict(
            f"Training {process.id} has finished its {planned} epochs; send the property Epochs with a larger number "
            "to go on."
        )
