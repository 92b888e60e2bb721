"""The zoo's networks in PyTorch, at the smallest sizes that they take."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from test_engines_contract import CLASSIFICATION, SEGMENTATION, batch_for, changed

from app.engines import get_engine
from app.engines.torch_engine import architectures
from app.engines.torch_engine.architectures.any_size import LoneValueBatchNorm, Padded
from app.zoo.architectures import ARCHITECTURES

# As published, for 3 x 224 x 224 and 1,000 classes.
PUBLISHED_PARAMETERS = {
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "convnext_tiny": 28_589_128,
}


def config_for(name, **values):
    task = ARCHITECTURES[name].task
    return changed(CLASSIFICATION if task == "classification" else SEGMENTATION, architecture=name, **values)


def untrained(config):
    with torch.device("meta"):  # names and shapes only
        return architectures.build(config)


@pytest.fixture(params=ARCHITECTURES)
def name(request):
    return request.param


@pytest.mark.parametrize(
    ("channels", "add_height", "add_width", "samples"), [(1, 0, 0, 1), (5, 13, 5, 2)], ids=["smallest", "odd"]
)
def test_every_architecture_learns_from_any_image(name, channels, add_height, add_width, samples):
    smallest = ARCHITECTURES[name].minimum_px
    size = {"input_height": smallest + add_height, "input_width": smallest + add_width}
    config = config_for(name, channels=channels, classes=["a", "b", "c"], loss="cross_entropy", **size)
    images, targets = batch_for(config, samples)
    network = get_engine("torch").build(config)
    before = network.predict_batch(images)

    result = network.train_batch(images, targets)

    shape = (samples, 3) if config.task == "classification" else (samples, 3, *size.values())
    assert result.probabilities.shape == before.shape == shape
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-4)
    assert np.isfinite(result.loss) and np.abs(network.predict_batch(images) - before).max() > 0


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_networks_have_the_published_number_of_parameters(name):
    config = config_for(name, channels=3, classes=[str(index) for index in range(1000)])
    network = untrained(changed(config, input_height=224, input_width=224))

    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED_PARAMETERS[name]


def test_only_the_last_layer_depends_on_the_classes(name):
    config = config_for(name, classes=["a", "b", "c"], input_height=32, input_width=32)

    head = architectures.head_names(config)

    parameters = dict(untrained(config).named_parameters())
    assert sorted(head) == list(parameters)[:-3:-1] and all(len(parameters[part]) == 3 for part in head)


def test_the_encoder_is_what_sees_the_image_and_not_the_last_layer(name):
    config = config_for(name, classes=["a", "b", "c"], input_height=32, input_width=32)
    network = untrained(config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    encoder = {names[id(parameter)] for parameter in architectures.encoder_parameters(network, name)}

    assert next(iter(names.values())) in encoder
    assert not encoder & architectures.head_names(config)
    # No prefix is idle: each names some parameters.
    own = [parameter.removeprefix("network.") for parameter in encoder]
    assert all(any(part.startswith(prefix) for part in own) for prefix in ARCHITECTURES[name].encoder)


def test_a_network_behind_a_border_answers_for_the_images_own_pixels():
    seen = []

    class Recording(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return 2 * images

    images = torch.rand(1, 2, 5, 8)

    answer = Padded(Recording(), multiple_px=8)(images)

    assert seen[0].shape == (1, 2, 8, 8) and seen[0][:, :, 5:].abs().max() == 0
    torch.testing.assert_close(answer, 2 * images)


def test_a_lone_value_is_normalised_by_the_running_statistics_and_others_by_their_own():
    own = LoneValueBatchNorm(2)
    with torch.no_grad():
        own.running_mean.fill_(3)
    lone, several = torch.full((1, 2, 1, 1), 5.0), torch.rand(2, 2, 1, 1)

    torch.testing.assert_close(own(lone).flatten(), torch.full((2,), 2.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(own(several), torch.nn.BatchNorm2d(2)(several))


def test_the_documentation_tells_every_models_numbers():
    rows = (Path(__file__).parents[2] / "docs" / "models.md").read_text().splitlines()
    models, allowed = (
        json.loads((files("app.zoo") / f"{name}.json").read_text()) for name in ("models", "allowed_properties")
    )
    for model in models:
        entry = ARCHITECTURES[model["architecture"]]
        default = {row["property_id"]: row["default_value"] for row in allowed if row["model_id"] == model["id"]}
        rate, batch, height, width = (default[number] for number in (1, 4, 6, 7))
        size = {"input_height": int(height), "input_width": int(width)}
        config = config_for(model["architecture"], channels=3, classes=["a", "b"], **size)
        count = sum(parameter.numel() for parameter in untrained(config).parameters())
        sizes = f"{entry.minimum_px} to {entry.maximum_px}{', fixed' if entry.is_size_fixed else ''}"
        name = f"| {model['id']} | {model['name']} |"
        assert f"{name} {count:,} | {height} x {width} | {batch} | {rate} | {sizes} | {entry.source} |" in rows
