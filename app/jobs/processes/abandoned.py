"""Take back what a killed web process had stored of a process that it never acknowledged."""

import shutil
from collections.abc import Mapping

from app.errors import StorageUnavailable
from app.jobs.processes.submission import forget
from app.jobs.queue import TRAINING
from app.jobs.services import Services
from app.runs.reader import read_config, unfinished_processes


def take_back_half_made(services: Services) -> None:
    """Remove the runs without a state, and the records that were made for them.

    Raises:
        StorageUnavailable: when a record or a run folder cannot be written.
    """
    with services.database.holding_references():  # whoever makes one now holds them: what is half made is abandoned
        for process_id in unfinished_processes(services.storage):
            run = services.storage.run(process_id)
            if run is None or run.state.exists():
                continue
            try:
                config = read_config(run) or {}
            except StorageUnavailable:
                continue  # damaged: whose records these are nobody knows; `dht verify-storage` tells of it
            _take_back(services, process_id, config)
            shutil.rmtree(run.path, ignore_errors=True)
            run.unfinished_mark.unlink(missing_ok=True)


def _take_back(services: Services, process_id: str, config: Mapping) -> None:
    database, resumed_from = services.database, config.get("resumed_from")
    for weights in database.weights.find(id=config.get("weights_id"), process_id=process_id):
        if resumed_from:
            database.weights.update(weights["id"], process_id=resumed_from)
        else:
            forget(database.weights, weights["id"])
    # The folder of weights is made before their record.
    if config.get("type") == TRAINING and not database.weights.find(id=config["weights_id"]):
        shutil.rmtree(services.storage.weights(config["weights_id"]).path, ignore_errors=True)
    for inference in database.inferences.find(id=config.get("inference_id"), process_id=process_id):
        forget(database.inferences, inference["id"])
    checked_id = (config.get("dataset") or {}).get("id")
    for dataset in database.datasets.find(id=checked_id, check_process_id=process_id):
        database.datasets.update(dataset["id"], check_process_id=None)
