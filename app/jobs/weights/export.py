"""Write the best weights of a training as an ONNX file, and compare what onnxruntime makes of it with the engine."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from app.engines import get_engine
from app.errors import JobFailure
from app.files import read_object, write_json
from app.jobs.datasets.images import fetched_folder
from app.jobs.datasets.opened import open_dataset
from app.runs.configs import Card
from app.runs.layout import WeightsFolder
from app.settings import Settings
from app.temporary import temporary_folder
from app.training.config import TrainingConfig, stored_config
from app.training.engine import Engine, Network
from app.training.loading import SampleReader
from app.training.remote import LocalCopies

LARGEST_DIFFERENCE = 1e-4  # of the largest value that the engine gives
IMAGE_COUNT = 8
PIXELS_AT_ONCE = 2**19
BATCHES = 4
COLOUR_TYPES = {1: "GRAY", 3: "RGB"}
PREFIX = "deephealth."


def export_weights(folder: WeightsFolder, facts: Mapping[str, str], images: Iterable[np.ndarray] | None) -> dict:
    """Write the best weights as ONNX beside themselves, and then the report that makes the file valid; return that.

    Args:
        folder: of the weights.
        facts: what to tell of them beside what their card says, by name.
        images: batches of real ones, as the network sees them; None where there are none, and noise has to do.

    Raises:
        JobFailure: when the file cannot be made, or gives other results; the report says so too.
    """
    card = read_object(folder.card, Card)
    report = {"digest": card.get("digest"), "is_noise": images is None}
    try:
        report |= _export(folder, card, facts, images)
    except JobFailure as error:
        folder.onnx.unlink(missing_ok=True)
        write_json(folder.export, report | {"error": error.message})
        raise
    write_json(folder.export, report | {"error": None})
    return report


def _export(folder: WeightsFolder, card: Mapping, facts: Mapping, images: Iterable[np.ndarray] | None) -> dict:
    # On the processor, for that is what the file is compared on: GPUs may round more coarsely.
    config = replace(stored_config(folder.card, card["config"]), devices="cpu", batch_parts=1)
    engine = get_engine(config.engine)
    network = engine.build(config, folder.own_graph())
    if unfitting := network.load_weights(folder.best):
        raise JobFailure(f"The weights do not fit their model: {', '.join(unfitting)} differ.")
    network.export_onnx(folder.onnx, metadata(card, config, facts))
    is_sum_one = config.output_channels > 1 and not config.is_multi_label
    return _compared(engine, network, folder.onnx, images if images is not None else [_noise(config)], is_sum_one)


def _compared(
    engine: Engine, network: Network, path: Path, images: Iterable[np.ndarray], is_sum_one: bool = True
) -> dict:
    """Return the largest difference between the engine and the exported file, and of how many images it is.

    Raises:
        JobFailure: if it is more than `LARGEST_DIFFERENCE`.
    """
    difference = largest = 0.0
    count = 0
    for batch in images:
        expected, found = network.predict_batch(batch), engine.run_onnx(path, batch)
        if found.shape != expected.shape:
            raise JobFailure(f"The exported file gives {found.shape} for {expected.shape}, so it is not offered.")
        if not np.isfinite(expected).all():
            raise JobFailure("The network gives numbers that are not finite (NaN): its weights are of no use.")
        difference = float(np.maximum(difference, np.abs(found - expected).max()))  # NaN counts
        largest = max(largest, float(expected.max()))
        if not is_sum_one:  # the class that is not there has a probability as well, of 1 less this one
            largest = max(largest, 1 - float(expected.min()))
        count += len(batch)
    relative = difference / largest if largest else difference
    if not relative <= LARGEST_DIFFERENCE:  # a difference that is no number is too large as well
        raise JobFailure(
            f"The exported file computes other numbers than the service: they differ by {relative:.1e} of the largest, "
            f"more than {LARGEST_DIFFERENCE:.0e}, so it is not offered."
        )
    return {"largest_difference": difference, "relative_difference": relative, "image_count": count}


def metadata(card: Mapping, config: TrainingConfig, facts: Mapping[str, str]) -> dict[str, str]:
    """Return what an exported file says of itself, each value a text; lists and the like are JSON."""
    size = {"height": config.input_height, "width": config.input_width, "channels": config.channels}
    judged = {name: card.get(name) for name in ("metric", "value", "epoch")}
    values = {
        "task": config.task,
        "classes": list(config.classes),
        "is_multi_label": config.is_multi_label,
        "colour_type": COLOUR_TYPES.get(config.channels, f"{config.channels} planes"),
        "input_size": size,
        "preprocessing": preprocessing(config),
        "augmentations": config.test_augmentations,
        "output": output_form(config),
        "metrics": judged,
        "architecture": config.architecture,
        "training": config.to_dict(),
        **facts,
    }
    return {PREFIX + name: _text(value) for name, value in values.items()}


def preprocessing(config: TrainingConfig) -> str:
    """Say in words what an image goes through before the network."""
    colours = {1: "one channel of grey", 3: "three channels, red first"}
    steps = [f"decode to 8 bits and {colours.get(config.channels, f'{config.channels} channels')}"]
    if config.test_augmentations:
        steps.append("apply the text of deephealth.augmentations")
    steps.append(
        f"resize to {config.input_height} x {config.input_width} pixels (height x width; averaging where it shrinks, "
        "else linearly)"
    )
    steps.append("divide by 255, unless the text has made other numbers of the 8 bits")
    return "; then ".join(steps) + "; the batch is float32 with the axes N, channels, height, width"


def output_form(config: TrainingConfig) -> str:
    """Say in words what the numbers are that come out."""
    if config.output_channels == 1:
        return "probability of the class, of each pixel" if config.task == "segmentation" else "probability"
    where = "of each pixel" if config.task == "segmentation" else "of the image"
    return f"probabilities of the classes {where}, " + ("each by itself" if config.is_multi_label else "summing to 1")


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def dataset_images(dataset: Mapping, config: TrainingConfig, settings: Settings) -> list[np.ndarray]:
    """Return some images of a dataset, as an inference gives them to the network, in batches that memory holds.

    Raises:
        ToolkitError: when they cannot be read.
    """
    opened = open_dataset(dataset)
    split = next(name for name in ("validation", "training") if opened.description.split(name))
    size = max(1, min(IMAGE_COUNT, PIXELS_AT_ONCE // (config.input_height * config.input_width)))
    with temporary_folder("export") as fetched:
        copies = LocalCopies(fetched, settings, fetched_folder(dataset))
        reader = SampleReader(opened.description, opened.folder, config, copies, settings.max_image_pixels)
        indexes = opened.description.split(split)[: min(IMAGE_COUNT, BATCHES * size)]
        config = replace(config, batch_size=size)
        loader = get_engine(config.engine).loader(reader, indexes, config, "test", has_labels=False)
        return [batch.images for batch in loader.batches(epoch=0)]


def _noise(config: TrainingConfig) -> np.ndarray:
    shape = (2, config.channels, config.input_height, config.input_width)
    return np.random.default_rng(config.seed).random(shape, dtype=np.float32)
