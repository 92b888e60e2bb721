from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNet, DenseNet121, EfficientNetBN, resnet18
from onnx import TensorProto, helper, numpy_helper
from onnx_files import eddl_like, export, make, numbers, run, tensorflow_like, with_random_weights
from torch import nn

from app.engines.torch_engine.onnx_graph import read_model
from app.engines.torch_engine.onnx_import import GraphModule
from app.errors import JobFailure

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
CLOSE = 1e-4


class Transformer(nn.Module):
    """A small vision transformer: patches, a class token, positions, attention."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 5, 16))
        self.block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu", norm_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, images):
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(images.shape[0], -1, -1), patches], dim=1) + self.positions
        return self.head(self.norm(self.block(tokens)[:, 0]))


class Modern(nn.Module):
    """What newer convolutional networks have: depthwise layers, squeeze and excitation, many activations."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.GroupNorm(2, 8), nn.GELU(), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.PReLU(), nn.Conv2d(4, 8, 1))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Flatten(), nn.Linear(8 * 64, 3))

    def forward(self, images):
        features = self.stem(images)
        features = features + self.depth(features)
        return self.head(features * torch.sigmoid(self.gate(features)) * nn.functional.silu(features))


NETWORKS = {
    "transformer": (Transformer, 16),
    "modern": (Modern, 16),
    "resnet": (lambda: resnet18(spatial_dims=2, n_input_channels=3, num_classes=3), 32),
    "densenet": (lambda: DenseNet121(2, 3, 3), 32),
    "efficientnet": (lambda: EfficientNetBN("efficientnet-b0", False, spatial_dims=2, num_classes=3), 32),
    "unet": (lambda: BasicUNet(2, 3, 2, features=(4, 4, 8, 8, 8, 4)), 32),
    "attention_unet": (lambda: AttentionUnet(2, 3, 2, (4, 8, 16), (2, 2)), 32),
}


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def imported(path):
    return GraphModule(read_model(path)).eval()


def predicted(network, images):
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()


def assert_learns(network, images):
    """One step of SGD changes every parameter that the file has weights for."""
    network.train()
    batch = np.concatenate([images, images[..., ::-1]])  # mirrored: of equal images batch normalisation leaves nothing
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.from_numpy(batch)).square().mean().backward()
    optimizer.step()
    assert before
    assert all(value.grad is not None for value in network.parameters())
    assert any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


@pytest.mark.parametrize("way", ["kept", "folded"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_from_torch_computes_as_in_onnxruntime_and_learns(tmp_path, name, way):
    torch.manual_seed(1)
    build, size = NETWORKS[name]
    axes = {"dynamic_axes": {"images": {0: "N"}}} if way == "kept" else {}
    batch = 2 if way == "kept" else 1
    path = export(build(), tmp_path / "net.onnx", (batch, 3, size, size), is_training=way == "kept",
                  input_names=["images"], **axes)  # fmt: skip
    images = numbers(batch, 3, size, size)

    network = imported(path)

    assert difference(predicted(network, images), run(path, images)) < CLOSE
    many = numbers(5, 3, size, size, seed=1)
    one_by_one = np.concatenate([predicted(network, many[index : index + 1]) for index in range(5)])
    assert difference(predicted(network, many), one_by_one) < CLOSE
    assert_learns(network, images)


@pytest.mark.parametrize("name", ["light_bvlc_alexnet", "light_inception_v2", "light_shufflenet", "light_squeezenet"])
def test_the_files_of_the_onnx_package_compute_as_in_onnxruntime_and_learn(tmp_path, name):
    path = with_random_weights(tmp_path / "net.onnx", LIGHT / f"{name}.onnx")
    images = numbers(1, 3, 224, 224)

    network = imported(path)

    assert difference(predicted(network, images), run(path, images)) < CLOSE
    assert_learns(network, images)


@pytest.mark.parametrize("opset", [9, 11, 13])
def test_a_file_as_tensorflow_writes_it(tmp_path, opset):
    path = tensorflow_like(tmp_path / "net.onnx", opset)
    images = numbers(2, 16, 16, 3)

    network = imported(path)

    assert difference(predicted(network, images), run(path, images)) < CLOSE
    assert {"conv/kernel", "conv/bias", "dense/kernel", "dense/bias"} < dict(network.named_parameters()).keys()
    assert_learns(network, images)


def test_a_file_as_eddl_writes_it(tmp_path):
    path = eddl_like(tmp_path / "net.onnx")
    standard = tmp_path / "standard.onnx"
    standard.write_bytes(read_model(path).SerializeToString())
    images = numbers(3, 1, 8, 8)

    network = imported(path)

    assert difference(predicted(network, images), run(standard, images)) < CLOSE
    assert set(dict(network.named_parameters())) == {"conv1_W", "conv1_b", "dense1_W", "dense1_b"}


def test_statistics_of_a_normalisation_follow_the_images_in_training_only(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    network = imported(export(module, tmp_path / "net.onnx", (2, 3, 8, 8)))
    images = torch.from_numpy(numbers(2, 3, 8, 8)) + 3
    names = dict(network.named_buffers())
    before = names["1/running_mean"].clone()

    network(images)
    assert torch.equal(names["1/running_mean"], before)

    network.train()(images)
    module.train()(images)
    torch.testing.assert_close(names["1/running_mean"], module[1].running_mean)
    assert network.weight_names["1/running_mean"] == "1.running_mean"


def test_equal_weights_that_torch_stores_once_are_trained_apart(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    for layer in (module[0], module[1]):
        nn.init.zeros_(layer.bias)
    model = read_model(export(module, tmp_path / "net.onnx", (2, 3, 8, 8)))

    assert {"0/bias", "1/bias"} < dict(GraphModule(model).named_parameters()).keys()


def test_the_mean_of_the_images_is_not_trained(tmp_path):
    weights = {"mean": numbers(1, 3, 1, 1), "w": numbers(3, 3, 1, 1)}
    nodes = [("Add", ["images", "mean"], ["centred"], {}), ("Conv", ["centred", "w"], ["out"], {})]
    network = imported(make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4]))

    assert list(dict(network.named_parameters())) == ["w"]


def test_a_file_for_one_image_that_cannot_take_more_is_run_in_parts(tmp_path):
    weights = {"w": numbers(48, 3), "shape": np.array([48], np.int64), "row": np.array([1, 48], np.int64)}
    nodes = [
        ("Reshape", ["images", "shape"], ["flat"], {}),
        ("Reshape", ["flat", "row"], ["rows"], {}),
        ("MatMul", ["rows", "w"], ["out"], {}),
    ]
    path = make(tmp_path / "net.onnx", nodes, weights, [1, 3, 4, 4])
    images = numbers(3, 3, 4, 4)

    expected = np.concatenate([run(path, images[index : index + 1]) for index in range(3)])
    assert difference(predicted(imported(path), images), expected) < CLOSE


CONV = [("Conv", ["images", "w"], ["out"], {})]


def with_external_weights(path):
    make(path, CONV, {"w": numbers(3, 3, 1, 1)}, ["N", 3, 4, 4])
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    tensor.ClearField("raw_data")
    return model.SerializeToString()


def with_external_constant(path):
    make(path, CONV, {"w": numbers(3, 3, 1, 1)}, ["N", 3, 4, 4])
    model = onnx.load(path)
    tensor = numpy_helper.from_array(numbers(2), "secret")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))
    return model.SerializeToString()


def of_domain(path):
    make(path, CONV, {"w": numbers(3, 3, 1, 1)}, ["N", 3, 4, 4])
    model = onnx.load(path)
    model.graph.node[0].domain = "com.acme"
    return model.SerializeToString()


HOSTILE = {
    "text": (lambda path: b"This is no network.\n" * 10, "no ONNX model"),
    "empty": (lambda path: b"", "no ONNX model"),
    "zip": (lambda path: b"PK\x03\x04" + b"\0" * 100, "zip archive"),
    "pickle": (lambda path: b"\x80\x04\x95" + b"\0" * 100, "pickle"),
    "outside": (with_external_weights, "lie in another file"),
    "outside, in a constant": (with_external_constant, "lie in another file"),
    "custom": (of_domain, "com.acme.Conv"),
    "unknown": (
        lambda path: make(path, [("NonZero", ["images"], ["out"], {})], {}, ["N", 3, 4, 4]).read_bytes(),
        "operator NonZero of node 'NonZero_0'",
    ),
    "old": (
        lambda path: make(path, CONV, {"w": numbers(3, 3, 1, 1)}, ["N", 3, 4, 4], opset=6).read_bytes(),
        "operator set 6",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_used_is_refused_with_one_sentence(tmp_path, name):
    content, words = HOSTILE[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(content(tmp_path / "draft.onnx"))

    with pytest.raises(JobFailure, match=words):
        read_model(path)


def test_a_constant_of_a_billion_numbers_is_not_made(tmp_path):
    weights = {"shape": np.array([100_000, 100_000], np.int64)}
    nodes = [("ConstantOfShape", ["shape"], ["w"], {}), ("MatMul", ["images", "w"], ["out"], {})]

    with pytest.raises(JobFailure, match="10,000,000,000 numbers"):
        imported(make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 100_000]))


def test_a_node_that_cannot_be_computed_is_named(tmp_path):
    network = imported(make(tmp_path / "net.onnx", CONV, {"w": numbers(3, 5, 1, 1)}, ["N", 3, 4, 4]))

    with pytest.raises(JobFailure, match=r"The node 'Conv_0' \(Conv\) cannot be computed"):
        predicted(network, numbers(1, 3, 4, 4))


@pytest.mark.parametrize(("shape", "words"), [(["N", 12], "has 2 axes"), (["N", 3, 4, 4, 4], "has 5 axes")])
def test_an_input_that_is_no_image_is_refused(tmp_path, shape, words):
    with pytest.raises(JobFailure, match=words):
        imported(make(tmp_path / "net.onnx", [("Relu", ["images"], ["out"], {})], {}, shape))
