"""The job of a training: from its run folder's config to weights, log and metrics."""

import platform
import traceback
from dataclasses import dataclass
from pathlib import Path

from app.engines import get_engine
from app.errors import JobFailure, ToolkitError
from app.files import write_atomically, write_json
from app.jobs.datasets.checking import mask_rule_of
from app.jobs.datasets.images import fetched_folder
from app.jobs.datasets.opened import OpenedDataset, open_dataset
from app.jobs.datasets.soundness import sound_report
from app.jobs.training.recorder import TrainingRecorder
from app.jobs.weights.detail import facts_of
from app.jobs.weights.export import dataset_images, export_weights
from app.jobs.worker.lifecycle import run_job
from app.jobs.worker.memory import release_memory
from app.runs.layout import StorageLayout, WeightsFolder
from app.runs.state import FINISHED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.checkpoints import read_card, resume
from app.training.choices import remarks
from app.training.config import TrainingConfig, stored_config
from app.training.engine import Engine, Network, Wanted
from app.training.loading import Batches, SampleReader
from app.training.loop import Outcome, train
from app.training.position import Position
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
    task = _Task(config, writer, storage, settings, engine, dataset, report)
    outcome = None
    while outcome is None:
        outcome = _attempt(task)
    state, line = _ending(outcome, task.training_config, writer)
    if state == FINISHED:
        writer.ending = FINISHED, line + " - without an ONNX file, for a stop was asked for: the download makes it"
    return state, line + _export(task, outcome)


@dataclass(frozen=True)
class _Task:
    """All that the attempts at one training share."""

    config: dict
    writer: RunWriter
    storage: StorageLayout
    settings: Settings
    engine: Engine
    dataset: OpenedDataset
    report: dict

    @property
    def training_config(self) -> TrainingConfig:
        return TrainingConfig.from_dict(self.config["training"])

    @property
    def folder(self) -> WeightsFolder:
        return self.storage.weights(self.config["weights_id"])


def _attempt(task: _Task) -> Outcome | None:
    """Train from the last checkpoint on; None if memory did not suffice, and the next attempt will need less.

    Raises:
        MemoryError: when batches must not be computed in smaller parts.
        JobFailure: when they cannot be, for not even one image fits.
    """
    try:
        return _learn(task)
    except MemoryError:
        config, parts = task.training_config, task.training_config.batch_parts * 2
        samples = min(config.batch_size, len(task.dataset.description.split("training")))
        if config.halve_batch_size == "no":
            raise
        if config.batch_parts >= samples:
            raise JobFailure(NO_ROOM) from None
    release_memory()
    task.config["training"]["batch_parts"] = parts
    write_json(task.writer.run.config, task.config)
    task.writer.log(
        f"Batch size {config.batch_size} does not fit into memory: from here on each batch is computed in {parts} "
        f"parts of {-(-samples // parts)}, whose gradients are added up; a step still learns from {samples} images"
    )
    return None


def _learn(task: _Task) -> Outcome:
    config, writer, dataset = task.training_config, task.writer, task.dataset
    network = task.engine.build(config, _graph(task))
    writer.log(f"{config.architecture} with {network.parameter_count:,} parameters on {task.engine.name}")
    if config.is_multi_label:
        writer.log("Multi-label: an image may have any number of the classes, and each is decided by itself")
    position = _resumed(task, network)
    if position is None and task.config["initial_weights_id"] is not None:
        _load_initial(task, network)
    if position is None and config.pretrained != "none":
        _load_pretrained(task, network)
    copies = LocalCopies(writer.run.inputs, task.settings, fetched_folder(task.config["dataset"]))
    largest, rule = task.settings.max_image_pixels, mask_rule_of(task.report)
    reader = SampleReader(dataset.description, dataset.folder, config, copies, largest, rule)
    training, validation = _loaders(task.engine, reader, config)
    if validation is None:
        writer.log("The dataset has no labelled validation split: the best weights are chosen on the training split")
    recorder = TrainingRecorder(writer, task.folder, config, task.settings.checkpoint_minutes)
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


def _graph(task: _Task) -> Path | None:
    """Return the uploaded network that is trained, from a copy of its own: the initial weights may be deleted.

    Weights that another engine has trained come as such a network too, from their ONNX file.
    """
    folder, initial = task.folder, task.config["initial_weights_id"]
    if initial is None or folder.own_graph() is not None:
        return folder.own_graph()
    source = task.storage.weights(initial)
    card = read_card(source)
    if card.engine != task.engine.name:
        wanted = Wanted(
            task=card.task,
            classes=card.classes,
            channels=card.channels,
            input_height=card.input_height,
            input_width=card.input_width,
            is_multi_label=card.is_multi_label,
        )
        task.engine.import_onnx(source.onnx, wanted, folder.graph)
        task.writer.log(f"Weights {initial} were trained by the engine {card.engine}, and are taken from its ONNX file")
    elif (before := source.own_graph()) is not None:
        write_atomically(folder.graph, before.read_bytes())
    return folder.own_graph()


def _resumed(task: _Task, network: Network) -> Position | None:
    """Load the last checkpoint of the training; None where it has saved none yet."""
    position = resume(task.folder, network)
    if position or task.config.get("resumed_from") or task.writer.state.interruptions:
        where = f"at epoch {position.epoch}, after {position.batches} batches" if position else "from the beginning"
        task.writer.log(f"Resumes process {task.config.get('resumed_from') or task.config['process_id']} {where}")
    return position


def _load_initial(task: _Task, network: Network) -> None:
    """Load the initial weights; only the last layer may be drawn anew, and only when the number of classes differs.

    Raises:
        JobFailure: when anything else does not fit.
    """
    weights_id, config = task.config["initial_weights_id"], task.training_config
    folder = task.storage.weights(weights_id)
    before = read_card(folder)
    if before.engine != task.engine.name:
        _tell_translated(task, before)
        return
    drawn_anew = network.load_weights(folder.best)
    layers = sorted({_layer_of(name) for name in drawn_anew})
    may_be_new = before.output_channels != config.output_channels
    most = len(layers) if folder.own_graph() else 1  # a graph's build draws nothing but its last layer
    if len(layers) > (most if may_be_new else 0):
        raise JobFailure(f"Weights {weights_id} do not fit this network: {', '.join(drawn_anew)} differ.")
    why = f", for the classes are {len(config.classes)} and were {len(before.classes)}" if layers else ""
    task.writer.log(f"Started from weights {weights_id}; drawn anew: {', '.join(layers) or 'nothing'}{why}")
    if config.freeze_epochs:
        task.writer.log(f"The encoder stays as it is for the first {config.freeze_epochs} epochs")
    task.config["replaced_layers"] = layers
    write_json(task.writer.run.config, task.config)


def _tell_translated(task: _Task, before: TrainingConfig) -> None:
    """Note what became of weights that came with their network from another engine, the last layer perhaps excepted."""
    is_drawn = before.output_channels != task.training_config.output_channels
    task.writer.log(f"Drawn anew: {'the last layer, for the number of classes differs' if is_drawn else 'nothing'}")
    task.config["replaced_layers"] = ["the last layer"] if is_drawn else []
    write_json(task.writer.run.config, task.config)


def _load_pretrained(task: _Task, network: Network) -> None:
    """Load what others have trained; what is not in it stays as it was drawn.

    Raises:
        JobFailure: when it is not there any more, or of another model.
    """
    config = task.training_config
    path = task.storage.pretrained(config.architecture) if config.pretrained == "file" else None
    if config.pretrained == "file" and path is None:
        raise JobFailure(f"The file of pretrained weights for {config.architecture} is not there any more.")
    layers = sorted({_layer_of(name) for name in network.load_pretrained(path)})
    origin = path.name if path else "the library's weights"
    task.writer.log(f"Started from {origin}; drawn anew: {', '.join(layers) or 'nothing'}")
    task.config["replaced_layers"] = layers
    write_json(task.writer.run.config, task.config)


def _layer_of(parameter: str) -> str:
    """Return the layer that has a parameter; graphs have blanks of their own in names, or none."""
    layer, _, last = parameter.replace("/", ".").rpartition(".")
    return layer or last


def _loaders(engine: Engine, reader: SampleReader, config: TrainingConfig) -> tuple[Batches, Batches | None]:
    description = reader.description
    training = engine.loader(reader, description.split("training"), config, "training", is_shuffled=True)
    if not description.has_labels("validation"):
        return training, None
    return training, engine.loader(reader, description.split("validation"), config, "validation")


def _export(task: _Task, outcome: Outcome) -> str:
    """Write the best weights as an ONNX file; return what to add to the last line where that fails.

    The weights are there whether they can be exported or not. Whoever stops a training does not wait for it: those
    weights are exported when they are downloaded.
    """
    if outcome.is_stopped or task.writer.should_stop():
        return ""
    config = task.config
    dataset = config["dataset"]
    facts = facts_of(config["weights_id"], config.get("created_at"), dataset)
    try:
        images = dataset_images(dataset, task.training_config, task.settings)
        report = export_weights(task.folder, facts, images)
    except ToolkitError as error:
        return _without_onnx(task.writer, error.message)
    except MemoryError:
        return _without_onnx(task.writer, "The memory of this machine is used up.")
    except Exception:  # a fault of an exporter must not make a failure of what was learned for days
        return _without_onnx(task.writer, traceback.format_exc())
    task.writer.log(
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
