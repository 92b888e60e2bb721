"""What a new training is refused for, beside what its properties and its dataset are."""

from collections.abc import Mapping

from app.augment.parser import parse
from app.augment.signatures import moves_pixels
from app.errors import InvalidInput
from app.jobs.services import Services
from app.jobs.weights.detail import uploaded_origin
from app.jobs.weights.model_families import is_family
from app.runs.layout import PRETRAINED_SUFFIXES
from app.training.config import TrainingConfig
from app.zoo.architectures import IN_LIBRARY, SEGMENTATION, architecture_of


def check_pretrained(services: Services, config: TrainingConfig, trained: TrainingConfig | None) -> None:
    """Refuse pretrained weights that are not there."""
    fault, name = None, config.architecture
    if config.pretrained != "none" and trained is not None:
        fault = "the training starts from weights_id already; give None, or leave weights_id out."
    elif config.pretrained == "library" and name not in IN_LIBRARY:
        fault = f"the library has weights for {' and '.join(IN_LIBRARY)} only; place a file, or give None."
    elif config.pretrained == "file" and services.storage.pretrained(name) is None:
        names = " or ".join(name + suffix for suffix in PRETRAINED_SUFFIXES)
        fault = f"there is no file for this model; place one as weights/pretrained/{names} in the storage folder."
    if fault:
        raise InvalidInput.at("Pretrained", f"Pretrained: {fault}")


def check_begins_somewhere(model: Mapping, trained: TrainingConfig | None) -> None:
    """Refuse to train a family of uploaded networks from scratch: the network comes with the weights."""
    if trained is None and is_family(model):
        raise InvalidInput.at(
            "weights_id",
            f"The model {model['name']!r} has no network but those of its weights; name some of them in weights_id "
            f"(GET /backend/weights?model_id={model['id']} lists them).",
        )


def check_last_layer(services: Services, initial: Mapping, trained: TrainingConfig, config: TrainingConfig) -> None:
    """Refuse what needs the last layer of an uploaded network in which none was found."""
    upload = uploaded_origin(services, initial)
    if upload is None or upload["last_layer"] is not None:
        return
    if trained.output_channels != config.output_channels:
        raise InvalidInput.at(
            "dataset_id",
            f"The uploaded network of weights {initial['id']} has no last layer that could be replaced, so that it can "
            f"only be trained on its own number of classes, {len(trained.classes)}.",
        )
    if config.freeze_epochs:
        message = "Freeze epochs: the uploaded network has no last layer to be trained alone; give 0."
        raise InvalidInput.at("Freeze epochs", message)


def check_sizes(config: TrainingConfig, trained: TrainingConfig | None) -> None:
    """Refuse an input size at which most of the initial weights would have to be thrown away."""
    if trained is None or not architecture_of(config.architecture).is_size_fixed:
        return
    own = (trained.input_height, trained.input_width)
    if (config.input_height, config.input_width) != own:
        name = "Input height" if config.input_height != own[0] else "Input width"
        raise InvalidInput.at(
            name,
            f"{name}: weights of this model fit the input size of their training only: {own[0]} x {own[1]} pixels.",
        )


def check_test_augmentations(config: TrainingConfig) -> None:
    """Refuse, for segmentation, test augmentations after which a mask no longer lies on its source image."""
    if config.task != SEGMENTATION:
        return
    moving = moves_pixels(parse(config.test_augmentations))
    if moving:
        raise InvalidInput.at(
            "Test augmentations",
            f"Test augmentations: {moving[0]} moves pixels, so that predicted masks would not fit their images; "
            "leave it out of the test text.",
        )
