"""The job of a training: from its run folder's config to weights, log and metrics."""

import platform

from app.datasets.description import Description
from app.engines import get_engine
from app.errors import JobFailure
from app.files import write_json
from app.jobs.checking import mask_rule_of
from app.jobs.dataset_images import fetched_folder
from app.jobs.dataset_soundness import sound_report
from app.jobs.datasets import OpenedDataset, open_dataset
from app.jobs.lifecycle import run_job
from app.jobs.training_recorder import TrainingRecorder
from app.runs.layout import StorageLayout, WeightsFolder
from app.runs.state import FINISHED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.checkpoints import read_card, resume
from app.training.config import TrainingConfig
from app.training.engine import Engine, Network
from app.training.loading import Loader, SampleReader
from app.training.loop import Outcome, train
from app.training.position import Position
from app.training.remote import LocalCopies


def run(process_id: str) -> None:
    """Train; the process id is all that the queue carries."""
    run_job(process_id, _train)


def _train(config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> tuple[str, str]:
    training_config = TrainingConfig.from_dict(config["training"])
    folder = storage.weights(config["weights_id"])
    engine = get_engine(training_config.engine)
    writer.log(config["description"])
    report = sound_report(config["dataset"], training_config.task, writer, storage, settings)
    if report is None:
        return STOPPED, "Stopped before the first epoch, while the dataset was checked; there are no weights"
    dataset = open_dataset(config["dataset"])
    _complete_config(config, writer, engine, dataset)
    network = engine.build(training_config)
    writer.log(f"{training_config.architecture} with {network.parameter_count:,} parameters on {engine.name}")
    if training_config.is_multi_label:
        writer.log("Multi-label: an image may have any number of the classes, and each is decided by itself")
    position = _resumed(config, network, folder, writer) if config.get("resumed_from") else None
    if position is None and config["initial_weights_id"] is not None:
        _load_initial(network, training_config, storage, config["initial_weights_id"], writer)
    copies = LocalCopies(writer.run.inputs, settings, fetched_folder(config["dataset"]))
    largest, rule = settings.max_image_pixels, mask_rule_of(report)
    reader = SampleReader(dataset.description, dataset.folder, training_config, copies, largest, rule)
    training, validation = _loaders(dataset.description, reader, training_config)
    if validation is None:
        writer.log("The dataset has no labelled validation split: the best weights are chosen on the training split")
    recorder = TrainingRecorder(writer, folder, training_config, settings.checkpoint_minutes)
    outcome = train(network, training, validation, training_config, recorder, writer.should_stop, position)
    return _ending(outcome, training_config, writer)


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


def _resumed(config: dict, network: Network, folder: WeightsFolder, writer: RunWriter) -> Position | None:
    """Load the last checkpoint of the training that this one continues; None where it had saved none."""
    position = resume(folder, network)
    where = f"at epoch {position.epoch}, after {position.batches} batches" if position else "from the beginning"
    writer.log(f"Resumes process {config['resumed_from']} {where}")
    return position


def _load_initial(
    network: Network, config: TrainingConfig, storage: StorageLayout, weights_id: int, writer: RunWriter
) -> None:
    """Load the initial weights; only the last layer may be drawn anew, and only when the number of classes differs."""
    folder = storage.weights(weights_id)
    drawn_anew = network.load_weights(folder.best)
    if drawn_anew and read_card(folder).output_channels == config.output_channels:
        raise JobFailure(f"Weights {weights_id} do not fit this network: {', '.join(drawn_anew)} differ.")
    writer.log(f"Started from weights {weights_id}; drawn anew: {', '.join(drawn_anew) or 'nothing'}")


def _loaders(description: Description, reader: SampleReader, config: TrainingConfig) -> tuple[Loader, Loader | None]:
    training = Loader(reader, description.split("training"), config, "training", is_shuffled=True)
    if not description.has_labels("validation"):
        return training, None
    return training, Loader(reader, description.split("validation"), config, "validation")


def _ending(outcome: Outcome, config: TrainingConfig, writer: RunWriter) -> tuple[str, str]:
    if outcome.is_stopped:
        why = ", because the service was shut down" if writer.is_interrupted else ""
        return STOPPED, f"Stopped at epoch {outcome.epoch}/{config.epochs}{why}; best and last weights are kept"
    best = f"best {config.metric}={outcome.best_value:.3f} at epoch {outcome.best_epoch}"
    return FINISHED, f"Finished {config.epochs}/{config.epochs} epochs - {best}"
