"""Weights of others, under the names that other programs give them."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_engines_contract import CLASSIFICATION, SEGMENTATION, changed

from app.engines import get_engine
from app.errors import JobFailure

SMALL = {"input_height": 32, "input_width": 32, "classes": ["a", "b", "c"], "loss": "cross_entropy"}


def config_of(architecture, like=CLASSIFICATION, **values):
    return changed(like, architecture=architecture, **{**SMALL, "channels": 3, **values})


def state(network):
    return {name: value.clone() for name, value in network._module.state_dict().items()}


@pytest.fixture
def engine():
    return get_engine("torch")


def write(path, weights, rename=lambda name: name):
    torch.save({rename(name): value for name, value in weights.items()}, path)
    return path


@pytest.mark.parametrize(
    ("architecture", "rename", "head"),
    [
        ("resnet18", lambda name: f"module.{name}", {"fc.weight", "fc.bias"}),
        ("densenet121", lambda name: name.replace(".layers.", ".").replace("class_layers.out", "classifier"),
         {"class_layers.out.weight", "class_layers.out.bias"}),
    ],
)  # fmt: skip
def test_all_but_the_last_layer_comes_from_the_file(engine, tmp_path, architecture, rename, head):
    others = engine.build(replace(config_of(architecture, classes=["x"] * 7), seed=1))
    network = engine.build(config_of(architecture))
    before = state(network)

    drawn_anew = network.load_pretrained(write(tmp_path / "net.pth", state(others), rename))

    assert set(drawn_anew) == head
    for name, value in state(network).items():
        assert value.equal(before[name] if name in head else state(others)[name]), name


def test_a_segmentation_begins_with_the_encoder_of_a_classification(engine, tmp_path):
    donor = state(engine.build(replace(config_of("resnet_unet", SEGMENTATION), seed=1)))
    encoder = {name: value for name, value in donor.items() if "encoder." in name}
    network = engine.build(config_of("resnet_unet", SEGMENTATION))

    drawn_anew = network.load_pretrained(write(tmp_path / "net.pth", encoder, lambda name: name.split("encoder.")[1]))

    assert drawn_anew and not any("encoder." in name for name in drawn_anew)
    assert all(value.equal(encoder[name]) for name, value in state(network).items() if name in encoder)


def test_grey_images_are_seen_as_three_equal_channels(engine, tmp_path):
    others = engine.build(replace(config_of("resnet18"), seed=1))
    network = engine.build(config_of("resnet18", channels=1))
    network.load_pretrained(write(tmp_path / "net.pth", state(others)))
    images = torch.rand(2, 1, 32, 32).numpy()
    torch.testing.assert_close(network.predict_batch(images), others.predict_batch(images.repeat(3, axis=1)))


def test_a_download_of_another_service_will_do(engine, tmp_path):
    others = engine.build(replace(config_of("resnet18"), seed=1))
    others.export_onnx(tmp_path / "net.onnx", {})
    network = engine.build(config_of("resnet18"))
    assert network.load_pretrained(tmp_path / "net.onnx") == []
    images = torch.rand(2, 3, 32, 32).numpy()
    torch.testing.assert_close(network.predict_batch(images), others.predict_batch(images))


def test_weights_of_another_architecture_are_refused(engine, tmp_path):
    path = write(tmp_path / "net.pth", state(engine.build(config_of("resnet50"))))
    with pytest.raises(JobFailure, match=r"These are not weights of resnet18: layer1\.\S+ is not in them"):
        engine.build(config_of("resnet18")).load_pretrained(path)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_files_with_more_than_weights_are_refused_in_one_sentence_and_not_run(engine, tmp_path, save):
    class Opened:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was run",)

    path = tmp_path / "resnet18.pth"
    save({"fc.weight": Opened()}, path)
    with pytest.raises(JobFailure) as refusal:
        engine.build(config_of("resnet18")).load_pretrained(path)
    assert "holds other things than weights" in refusal.value.message and "weights_only" not in refusal.value.message
    assert "\n" not in refusal.value.message and not (tmp_path / "was run").exists()


def test_without_a_network_the_library_says_what_to_do(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(JobFailure, match=r"cannot be downloaded.*weights/pretrained/densenet121.pth.*choose File"):
        engine.build(config_of("densenet121")).load_pretrained(None)
