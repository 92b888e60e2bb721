"""The job of a training: from its run folder's config to weights, log and metrics."""

import platform
import traceback

from app.engines import get_engine
from app.errors import JobFailure, ToolkitError
from app.files import write_json
from app.jobs.datasets.checking import mask_rule_of
from app.jobs.datasets.images import fetched_folder
from app.jobs.datasets.opened import OpenedDataset, open_dataset
from app.jobs.datasets.soundness import sound_report
from app.jobs.training.beginning import begin, graph_of
from app.jobs.training.recorder import TrainingRecorder
from app.jobs.training.training_job import TrainingJob
from app.jobs.weights.detail import facts_of
from app.jobs.weights.export import dataset_images, export_weights
from app.jobs.worker.lifecycle import run_job
from app.jobs.worker.memory import release_memory
from app.runs.layout import StorageLayout
from app.runs.state import FINISHED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.choices import remarks
from app.training.config import TrainingConfig, stored_config
from app.training.engine import Engine
from app.training.loading import Batches, SampleReader
from app.training.loop import Outcome, train
from app.training.remote import LocalCopies

NO_ROOM = (
    "The memory of this machine does not suffice for a single image of this size; "
    "lower Input height and Input width, choose a smaller model, or end other programs."
)


def run(process_id: str) -> None:
    """Train; the process id is all that the queue carries."""
    run_job(process_id, _train)


def _train(config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> tuple[str, str]:
    training_config = stored_config(writer.run.config, config["training"])
    engine = get_engine(training_config.engine)
    writer.log(config["description"])
    report = sound_report(config["dataset"], training_config.task, writer, storage, settings)
    if report is None:
        return STOPPED, "Stopped before the first epoch, while the dataset was checked; there are no weights"
    dataset = open_dataset(config["dataset"])
    _complete_config(config, writer, engine, dataset)
    for remark in [
        *engine.advise(training_config),
        *remarks(training_config, len(dataset.description.split("training"))),
    ]:
        writer.log(f"Note: {remark}")
    job = TrainingJob(config, writer, storage, settings, engine, dataset, report)
    outcome = None
    while outcome is None:
        outcome = _attempt(job)
    state, line = _ending(outcome, job.training_config, writer)
    if state == FINISHED:
        writer.ending = FINISHED, line + " - without an ONNX file, for a stop was asked for: the download makes it"
    return state, line + _export(job, outcome)


def _attempt(job: TrainingJob) -> Outcome | None:
    """Train from the last checkpoint on; None if memory did not suffice, and the next attempt will need less.

    Raises:
        MemoryError: when batches must not be computed in smaller parts.
        JobFailure: when they cannot be, for not even one image fits.
    """
    try:
        return _learn(job)
    except MemoryError:
        config, parts = job.training_config, job.training_config.batch_parts * 2
        samples = min(config.batch_size, len(job.dataset.description.split("training")))
        if config.halve_batch_size == "no":
            raise
        if config.batch_parts >= samples:
            raise JobFailure(NO_ROOM) from None
    release_memory()
    job.config["training"]["batch_parts"] = parts
    write_json(job.writer.run.config, job.config)
    job.writer.log(
        f"Batch size {config.batch_size} does not fit into memory: from here on each batch is computed in {parts} "
        f"parts of {-(-samples // parts)}, whose gradients are added up; a step still learns from {samples} images"
    )
    return None


def _learn(job: TrainingJob) -> Outcome:
    config, writer, dataset = job.training_config, job.writer, job.dataset
    network = job.engine.build(config, graph_of(job))
    writer.log(f"{config.architecture} with {network.parameter_count:,} parameters on {job.engine.name}")
    if config.is_multi_label:
        writer.log("Multi-label: an image may have any number of the classes, and each is decided by itself")
    position = begin(job, network)
    copies = LocalCopies(writer.run.inputs, job.settings, fetched_folder(job.config["dataset"]))
    largest, rule = job.settings.max_image_pixels, mask_rule_of(job.report)
    reader = SampleReader(dataset.description, dataset.folder, config, copies, largest, rule)
    training, validation = _loaders(job.engine, reader, config)
    if validation is None:
        writer.log("The dataset has no labelled validation split: the best weights are chosen on the training split")
    recorder = TrainingRecorder(writer, job.folder, config, job.settings.checkpoint_minutes)
    return train(network, training, validation, config, recorder, writer.should_stop, position)


def _complete_config(config: dict, writer: RunWriter, engine: Engine, dataset: OpenedDataset) -> None:
    """Add to the frozen config what only the worker knows; one that a resume has copied knows it from the first run.

    Raises:
        JobFailure: when a training is to go on with another dataset than it began with.
    """
    environment = {"python": platform.python_version(), **engine.versions()}
    began_in = config.get("environment", environment)
    began_with = config["dataset"].get("fingerprint", dataset.fingerprint)
    if began_with != dataset.fingerprint:
        raise JobFailure(
            "The dataset has changed since this training began, so the training cannot go on as it would have; "
            f"start a new one from its weights: send weights_id {config['weights_id']} instead of resume."
        )
    if began_in != environment:
        changed = ", ".join(f"{name} {began_in.get(name)} -> {version}" for name, version in environment.items()
                            if began_in.get(name) != version)  # fmt: skip
        writer.log(f"Other versions than at the training's beginning may compute slightly other numbers: {changed}")
    config["environment"] = environment
    config["dataset"]["fingerprint"] = dataset.fingerprint
    write_json(writer.run.config, config)


def _loaders(engine: Engine, reader: SampleReader, config: TrainingConfig) -> tuple[Batches, Batches | None]:
    description = reader.description
    training = engine.loader(reader, description.split("training"), config, "training", is_shuffled=True)
    if not description.has_labels("validation"):
        return training, None
    return training, engine.loader(reader, description.split("validation"), config, "validation")


def _export(job: TrainingJob, outcome: Outcome) -> str:
    """Write the best weights as an ONNX file; return what to add to the last line where that fails.

    The weights are there whether they can be exported or not. Whoever stops a training does not wait for it: those
    weights are exported when they are downloaded.
    """
    if outcome.is_stopped or job.writer.should_stop():
        return ""
    config = job.config
    dataset = config["dataset"]
    facts = facts_of(config["weights_id"], config.get("created_at"), dataset)
    try:
        images = dataset_images(dataset, job.training_config, job.settings)
        report = export_weights(job.folder, facts, images)
    except ToolkitError as error:
        return _without_onnx(job.writer, error.message)
    except MemoryError:
        return _without_onnx(job.writer, "The memory of this machine is used up.")
    except Exception:  # a fault of an exporter must not make a failure of what was learned for days
        return _without_onnx(job.writer, traceback.format_exc())
    job.writer.log(
        f"Exported as ONNX: onnxruntime's results for {report['image_count']} images differ from the service's "
        f"by {report['relative_difference']:.1e} of the largest"
    )
    return ""


def _without_onnx(writer: RunWriter, reason: str) -> str:
    writer.log(f"The weights are not there as ONNX: {reason}")
    return " - without an ONNX file, see the log"


def _ending(outcome: Outcome, config: TrainingConfig, writer: RunWriter) -> tuple[str, str]:
    if outcome.is_stopped:
        why = ", because the service was shut down" if writer.is_interrupted else ""
        return STOPPED, f"Stopped at epoch {outcome.epoch}/{config.epochs}{why}; best and last weights are kept"
    judged_by = config.loss if config.keep_best_by == "loss" else config.metric
    best = f"best {judged_by}={outcome.best_value:.3f} at epoch {outcome.best_epoch}"
    early = f" - early, for {config.early_stopping_patience} epochs brought nothing better" if outcome.is_early else ""
    return FINISHED, f"Finished {outcome.epoch}/{config.epochs} epochs{early} - {best}"
