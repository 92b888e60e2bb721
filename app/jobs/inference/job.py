"""The job of an inference, over a dataset's test split or over one image."""

from pathlib import Path

from app.datasets.checks import inference_indexes
from app.datasets.description import Description, Sample
from app.datasets.masks import MaskRule
from app.engines import get_engine
from app.errors import JobFailure
from app.files import sync_file, write_json
from app.jobs.datasets.checking import mask_rule_of, stored_report
from app.jobs.datasets.images import fetched_folder
from app.jobs.datasets.opened import open_dataset
from app.jobs.inference.loaded_networks import LoadedNetworks
from app.jobs.worker.lifecycle import run_job
from app.runs.layout import StorageLayout
from app.runs.state import FINISHED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.checkpoints import read_card
from app.training.loading import SampleReader
from app.training.predict import class_translation, predict
from app.training.remote import LocalCopies
from app.zoo.architectures import SEGMENTATION

_NETWORKS = LoadedNetworks()


def run(process_id: str) -> None:
    """Predict; the process id is all that the queue carries."""
    run_job(process_id, _predict)


def _predict(config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> tuple[str, str]:
    folder = storage.weights(config["weights_id"])
    card = read_card(folder)
    description, images_folder = _images(config, writer)
    indexes = inference_indexes(description)
    writer.log(f"{config['description']}: {len(indexes)} images")
    network = _NETWORKS.network(folder, card, settings.loaded_weights_bytes)
    dataset = config.get("dataset")
    copies = LocalCopies(writer.run.inputs, settings, fetched_folder(dataset) if dataset else None)
    knows_classes = class_translation(description.classes, card.classes) is not None
    if description.classes and not knows_classes:
        writer.log("The weights do not know all of the dataset's classes, so there are no metrics")
    rule = _mask_rule(dataset, storage, writer) if knows_classes and card.task == SEGMENTATION else None
    reader = SampleReader(description, images_folder, card, copies, settings.max_image_pixels, rule)
    writer.run.predictions.write_bytes(b"")  # an interrupted inference starts over
    try:
        loader = get_engine(card.engine).loader(reader, indexes, card, "test", has_labels=False)
        rows, metrics = predict(
            network, reader, loader, card, writer.run, writer.progress, writer.should_stop, writer.when_there_is_room
        )
    except JobFailure as error:
        if config["dataset"] is not None:
            raise
        # Its sender knows the image by another name than the service's own file.
        own = str(writer.run.inputs / config["image"]["file"])
        raise JobFailure(error.message.replace(own, config["image"]["location"])) from error
    if rows < len(indexes):
        why = ", because the service was shut down" if writer.is_interrupted else ""
        return STOPPED, f"Stopped after {rows} of {len(indexes)} images{why}"
    writer.when_there_is_room(lambda: sync_file(writer.run.predictions))  # before the state says that it is complete
    if metrics is not None:
        writer.when_there_is_room(lambda: write_json(writer.run.metrics, metrics))
    return FINISHED, f"Finished {rows} of {len(indexes)} images{_headline(metrics)}"


def _mask_rule(dataset: dict | None, storage: StorageLayout, writer: RunWriter) -> MaskRule | None:
    """Return what the values of the dataset's masks mean, by its report."""
    if dataset is None:
        return None
    report = stored_report(storage, dataset["id"])
    if report is None:
        writer.log("The dataset has not been checked, so that the values of its masks are unknown: no metrics")
    return mask_rule_of(report) if report else None


def _images(config: dict, writer: RunWriter) -> tuple[Description, Path | str]:
    if config["dataset"] is None:
        image = writer.run.inputs / config["image"]["file"]
        sample = Sample(location=(str(image),), classes=None, mask=None, values={})
        name = config["image"]["location"]
        return Description(name=name, text="", classes=(), features=(), samples=(sample,), splits={}), image.parent
    dataset = open_dataset(config["dataset"])
    return dataset.description, dataset.folder


def _headline(metrics: dict | None) -> str:
    if metrics is None:
        return ""
    return "".join(
        f" - {name}={metrics[name]:.3f}" for name in ("accuracy", "binary_accuracy", "dice", "iou") if name in metrics
    )
