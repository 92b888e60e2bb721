"""Weights go from one engine to the other in ONNX files, where EDDL has the operators."""

import itertools

import numpy as np
import pytest
from test_engines_contract import CLASSIFICATION, SEGMENTATION, batch_for, changed
from tried_engines import engine_parameter

from app.engines import get_engine
from app.errors import JobFailure
from app.training.engine import Wanted

LARGEST_DIFFERENCE = 1e-4  # of two probabilities
COLOUR = changed(CLASSIFICATION, channels=3, input_height=33, input_width=40)
EDDL = [engine_parameter("eddl")]


def wanted_of(config):
    return Wanted(
        task=config.task, classes=config.classes, channels=config.channels, input_height=config.input_height,
        input_width=config.input_width, is_multi_label=config.is_multi_label,
    )  # fmt: skip


def batch_of(config):
    images, targets = batch_for(config, samples=2)
    return images, np.eye(len(config.classes), dtype=np.int64)[targets] if config.is_multi_label else targets


def exported(name, config, path):
    """Return a network that has learned a little, and write its file."""
    network = get_engine(name).build(changed(config, engine=name))
    network.train_batch(*batch_of(config))
    network.export_onnx(path, {})
    return network


def taken_in(name, config, path, graph, **values):
    engine = get_engine(name)
    engine.import_onnx(path, wanted_of(config), graph)
    return engine.build(changed(config, engine=name, architecture=f"onnx_{config.task}", **values), graph)


@pytest.mark.parametrize("name", EDDL)
@pytest.mark.parametrize(
    "config",
    [
        CLASSIFICATION,
        changed(CLASSIFICATION, is_multi_label=True, loss="binary_cross_entropy"),
        changed(COLOUR, architecture="vgg16"),
        changed(COLOUR, architecture="resnet50"),
        SEGMENTATION,
        changed(SEGMENTATION, architecture="segnet", classes=("background", "a", "b"), input_height=32, input_width=32),
    ],
    ids=["lenet", "multi-label", "vgg16", "resnet50", "unet", "segnet"],
)
def test_what_eddl_has_trained_onnxruntime_and_torch_compute_alike(name, config, tmp_path):
    network, (images, targets) = exported(name, config, tmp_path / "model.onnx"), batch_of(config)
    expected = network.predict_batch(images)

    other = taken_in("torch", config, tmp_path / "model.onnx", tmp_path / "graph.onnx")

    by_onnxruntime = get_engine(name).run_onnx(tmp_path / "model.onnx", images)
    np.testing.assert_allclose(by_onnxruntime, expected, atol=LARGEST_DIFFERENCE)
    np.testing.assert_allclose(other.predict_batch(images), expected, atol=LARGEST_DIFFERENCE)
    if not config.is_multi_label:
        other.train_batch(images, targets)
        other.export_onnx(tmp_path / "again.onnx", {})
        back = taken_in(name, config, tmp_path / "again.onnx", tmp_path / "back.onnx")
        np.testing.assert_allclose(back.predict_batch(images), other.predict_batch(images), atol=LARGEST_DIFFERENCE)


@pytest.mark.parametrize("name", EDDL)
@pytest.mark.parametrize(
    "config",
    [
        CLASSIFICATION,
        changed(COLOUR, architecture="vgg16"),
        changed(COLOUR, architecture="resnet18"),
        changed(SEGMENTATION, architecture="segnet", classes=("background", "a", "b"), input_height=32, input_width=64),
    ],
    ids=["lenet", "vgg16", "resnet18", "segnet"],
)
def test_what_torch_has_trained_eddl_computes_alike_and_trains_on(name, config, tmp_path):
    network, (images, targets) = exported("torch", config, tmp_path / "model.onnx"), batch_of(config)

    other = taken_in(name, config, tmp_path / "model.onnx", tmp_path / "graph.onnx")

    np.testing.assert_allclose(other.predict_batch(images), network.predict_batch(images), atol=LARGEST_DIFFERENCE)
    other.set_learning_rate(1e-5)
    losses = [other.train_batch(images, targets).loss for _ in range(4)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", EDDL)
@pytest.mark.parametrize(
    ("loss", "is_multi_label"),
    [
        ("cross_entropy", False),
        ("soft_cross_entropy", False),
        ("mean_squared_error", False),
        ("binary_cross_entropy", True),
        ("mean_squared_error", True),
    ],
)
def test_from_the_same_weights_a_step_leads_to_the_same_in_both_engines(name, loss, is_multi_label, tmp_path):
    config = changed(CLASSIFICATION, loss=loss, is_multi_label=is_multi_label, optimizer="sgd", learning_rate=0.01)
    exported(name, config, tmp_path / "model.onnx")
    images, targets = batch_of(config)

    networks = [taken_in(each, config, tmp_path / "model.onnx", tmp_path / each) for each in (name, "torch")]
    losses = [network.train_batch(images, targets).loss for network in networks]
    own, other = (network.evaluate_batch(images, targets) for network in networks)

    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert own.loss < losses[0] * 0.999
    np.testing.assert_allclose(own.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("name", EDDL)
def test_other_classes_get_a_new_last_layer_in_eddl(name, tmp_path):
    exported("torch", CLASSIFICATION, tmp_path / "model.onnx")

    other = taken_in(name, CLASSIFICATION, tmp_path / "model.onnx", tmp_path / "graph.onnx", classes=("a", "b"))

    probabilities = other.predict_batch(batch_for(CLASSIFICATION)[0])
    assert probabilities.shape == (4, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", EDDL)
def test_operators_that_eddl_has_not_are_named_and_nothing_is_written(name, tmp_path):
    exported("torch", SEGMENTATION, tmp_path / "model.onnx")

    with pytest.raises(JobFailure, match="the operator InstanceNormalization, which EDDL does not take; choose Torch"):
        taken_in(name, SEGMENTATION, tmp_path / "model.onnx", tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()


@pytest.mark.parametrize("name", EDDL)
@pytest.mark.parametrize("classes", [COLOUR.classes, ("a", "b")], ids=["the same classes", "other classes"])
def test_biases_that_a_network_has_not_are_zeros_in_its_weights(name, classes, tmp_path):
    config = changed(COLOUR, architecture="resnet18")
    exported("torch", config, tmp_path / "model.onnx")

    network = taken_in(name, config, tmp_path / "model.onnx", tmp_path / "graph.onnx", classes=classes)
    network.save_weights(tmp_path / "weights")

    with np.load(tmp_path / "weights") as stored:
        arrays = [stored[key] for key in stored.files if key.startswith("parameters:")]
    biases = [array for before, array in itertools.pairwise(arrays) if before.ndim == 4 and array.ndim == 1]
    assert len(biases) == 20
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize("name", EDDL)
def test_a_network_of_another_size_is_refused_with_its_own(name, tmp_path):
    exported("torch", CLASSIFICATION, tmp_path / "model.onnx")

    with pytest.raises(JobFailure, match="takes images of 1 x 12 x 16"):
        taken_in(name, CLASSIFICATION, tmp_path / "model.onnx", tmp_path / "graph.onnx", input_height=20)
