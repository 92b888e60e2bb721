"""Where a training begins: at its own last checkpoint, at other weights, at what others have trained, or anew."""

from pathlib import Path

from app.errors import JobFailure
from app.files import write_atomically, write_json
from app.jobs.training.training_job import TrainingJob
from app.training.checkpoints import read_card, resume
from app.training.config import TrainingConfig
from app.training.engine import Network, Wanted
from app.training.position import Position


def begin(job: TrainingJob, network: Network) -> Position | None:
    """Load what the network begins with; return the position of its last checkpoint, None where there is none yet.

    Raises:
        JobFailure: when that is not there any more, or does not fit.
    """
    position = _resumed(job, network)
    if position is None and job.config["initial_weights_id"] is not None:
        _load_initial(job, network)
    if position is None and job.training_config.pretrained != "none":
        _load_pretrained(job, network)
    return position


def graph_of(job: TrainingJob) -> Path | None:
    """Return the uploaded network that is trained, from a copy of its own: the initial weights may be deleted.

    Weights that another engine has trained come as such a network too, from their ONNX file.
    """
    folder, initial = job.folder, job.config["initial_weights_id"]
    if initial is None or folder.own_graph() is not None:
        return folder.own_graph()
    source = job.storage.weights(initial)
    card = read_card(source)
    if card.engine != job.engine.name:
        wanted = Wanted(
            task=card.task,
            classes=card.classes,
            channels=card.channels,
            input_height=card.input_height,
            input_width=card.input_width,
            is_multi_label=card.is_multi_label,
        )
        job.engine.import_onnx(source.onnx, wanted, folder.graph)
        job.writer.log(f"Weights {initial} were trained by the engine {card.engine}, and are taken from its ONNX file")
    elif (before := source.own_graph()) is not None:
        write_atomically(folder.graph, before.read_bytes())
    return folder.own_graph()


def _resumed(job: TrainingJob, network: Network) -> Position | None:
    """Load the last checkpoint of the training; None where it has saved none yet."""
    position = resume(job.folder, network)
    if position or job.config.get("resumed_from") or job.writer.state.interruptions:
        where = f"at epoch {position.epoch}, after {position.batches} batches" if position else "from the beginning"
        job.writer.log(f"Resumes process {job.config.get('resumed_from') or job.config['process_id']} {where}")
    return position


def _load_initial(job: TrainingJob, network: Network) -> None:
    """Load the initial weights; only the last layer may be drawn anew, and only when the number of classes differs.

    Raises:
        JobFailure: when anything else does not fit.
    """
    weights_id, config = job.config["initial_weights_id"], job.training_config
    folder = job.storage.weights(weights_id)
    before = read_card(folder)
    if before.engine != job.engine.name:
        _tell_translated(job, before)
        return
    drawn_anew = network.load_weights(folder.best)
    layers = sorted({_layer_of(name) for name in drawn_anew})
    may_be_new = before.output_channels != config.output_channels
    most = len(layers) if folder.own_graph() else 1  # a graph's build draws nothing but its last layer
    if len(layers) > (most if may_be_new else 0):
        raise JobFailure(f"Weights {weights_id} do not fit this network: {', '.join(drawn_anew)} differ.")
    why = f", for the classes are {len(config.classes)} and were {len(before.classes)}" if layers else ""
    job.writer.log(f"Started from weights {weights_id}; drawn anew: {', '.join(layers) or 'nothing'}{why}")
    if config.freeze_epochs:
        job.writer.log(f"The encoder stays as it is for the first {config.freeze_epochs} epochs")
    job.config["replaced_layers"] = layers
    write_json(job.writer.run.config, job.config)


def _tell_translated(job: TrainingJob, before: TrainingConfig) -> None:
    """Note what became of weights that came with their network from another engine, the last layer perhaps excepted."""
    is_drawn = before.output_channels != job.training_config.output_channels
    job.writer.log(f"Drawn anew: {'the last layer, for the number of classes differs' if is_drawn else 'nothing'}")
    job.config["replaced_layers"] = ["the last layer"] if is_drawn else []
    write_json(job.writer.run.config, job.config)


def _load_pretrained(job: TrainingJob, network: Network) -> None:
    """Load what others have trained; what is not in it stays as it was drawn.

    Raises:
        JobFailure: when it is not there any more, or of another model.
    """
    config = job.training_config
    path = job.storage.pretrained(config.architecture) if config.pretrained == "file" else None
    if config.pretrained == "file" and path is None:
        raise JobFailure(f"The file of pretrained weights for {config.architecture} is not there any more.")
    layers = sorted({_layer_of(name) for name in network.load_pretrained(path)})
    origin = path.name if path else "the library's weights"
    job.writer.log(f"Started from {origin}; drawn anew: {', '.join(layers) or 'nothing'}")
    job.config["replaced_layers"] = layers
    write_json(job.writer.run.config, job.config)


def _layer_of(parameter: str) -> str:
    """Return the layer that has a parameter; graphs have blanks of their own in names, or none."""
    layer, _, last = parameter.replace("/", ".").rpartition(".")
    return layer or last
