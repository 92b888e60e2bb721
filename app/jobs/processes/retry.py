"""Do again what a process that ended was to do, as a new process."""

from app.errors import Conflict
from app.jobs import queue
from app.jobs.datasets.checking import check_again
from app.jobs.inference.start import start_inference, start_single_inference
from app.jobs.processes.following import Process, find_process
from app.jobs.services import Services
from app.jobs.training.resume import resume_training
from app.runs.state import FINISHED


def retry(services: Services, process_id: str) -> dict:
    """Go on with a training from its last checkpoint; start an inference or a check over.

    Returns:
        `result` and `process_id` of the new process, and of a training `weight_id`.

    Raises:
        NotFound: for an id that no process has, or when what it worked on was deleted.
        Conflict: while it has not ended, or when nothing is left to do.
        InvalidInput: when what it was to use was deleted, or can no longer be used.
        QueueUnavailable: when Redis cannot be reached; nothing has changed then.
    """
    process = find_process(services, process_id)
    if not process.state.is_final:
        raise Conflict(f"Process {process.id} has not ended ({process.state.state}); stop it before you retry it.")
    if process.config["type"] == queue.TRAINING:
        return resume_training(services, {"resume": process.id})
    if process.config["type"] == queue.CHECK:
        started = check_again(services, process.config["dataset"]["id"], process.config["group_by"])
        return {"result": "ok", "process_id": started}
    if process.state.state == FINISHED:
        raise Conflict(f"Inference {process.id} has finished; its outputs are there, and nothing is left to do.")
    return _infer_again(services, process)


def _infer_again(services: Services, process: Process) -> dict:
    request = {"modelweights_id": process.config["weights_id"], "project_id": process.config["project_id"]}
    dataset = process.config["dataset"]
    if dataset is not None:
        return start_inference(services, request | {"dataset_id": dataset["id"]})
    image = process.config["image"]
    content = (process.run.inputs / image["file"]).read_bytes()
    return start_single_inference(services, **request, image_file=content, location=image["location"])
