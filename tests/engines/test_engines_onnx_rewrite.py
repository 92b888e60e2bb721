import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx_files import config_for, eddl_like, make, numbers, run, tensorflow_like

from app.engines.torch_engine.onnx_graph import read_model
from app.engines.torch_engine.onnx_head import find_head, replace_head
from app.engines.torch_engine.onnx_import import GraphModule
from app.engines.torch_engine.onnx_rewrite import rewrite
from app.errors import JobFailure


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def rewritten(path, config):
    model = read_model(path)
    return model, rewrite(model, config)


def logits(model, images):
    """Compute by our network, and make sure that onnxruntime computes the same from the rewritten file."""
    onnx.checker.check_model(model, full_check=True)
    with torch.inference_mode():
        result = GraphModule(model).eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(result, run(model.SerializeToString(), images), rtol=1e-4, atol=1e-5)
    return result


def test_channels_that_come_last_are_turned_and_the_softmax_is_cut(tmp_path):
    path = tensorflow_like(tmp_path / "net.onnx")
    images = numbers(2, 3, 16, 16)

    model, done = rewritten(path, config_for())

    np.testing.assert_allclose(softmax(logits(model, images)), run(path, images.transpose(0, 2, 3, 1)), rtol=1e-4)
    assert len(done) == 2


def test_eddl_gives_logits_too(tmp_path):
    model, _ = rewritten(eddl_like(tmp_path / "net.onnx"), config_for(channels=1, height=8, width=8))

    assert logits(model, numbers(2, 1, 8, 8)).sum(axis=1) != pytest.approx(1)


def dense(path, classes, *behind, opset=13, **options):
    weights = {"w": numbers(48, classes), "b": numbers(classes, seed=1), **options.pop("weights", {})}
    nodes = [
        ("Flatten", ["images"], ["flat"], {}),
        ("Gemm", ["flat", "w", "b"], ["logits" if behind else "out"], {}),
        *behind,
    ]
    return make(path, nodes, weights, ["N", 3, 4, 4], opset=opset, **options)


SMALL = {"height": 4, "width": 4}


def test_one_probability_becomes_two_logits(tmp_path):
    path = dense(tmp_path / "net.onnx", 1, ("Sigmoid", ["logits"], ["out"], {}))
    images = numbers(2, 3, 4, 4)

    model, _ = rewritten(path, config_for(classes=2, **SMALL))

    expected = run(path, images)
    np.testing.assert_allclose(softmax(logits(model, images)), np.hstack([1 - expected, expected]), rtol=1e-4)


def test_probabilities_by_other_operators_become_logits(tmp_path):
    steps = [
        ("Exp", ["logits"], ["powers"], {}),
        ("ReduceSum", ["powers", "axes"], ["sum"], {}),
        ("Div", ["powers", "sum"], ["out"], {}),
    ]
    path = dense(tmp_path / "net.onnx", 3, *steps, weights={"axes": np.array([1], np.int64)})
    images = numbers(2, 3, 4, 4)

    model, _ = rewritten(path, config_for(**SMALL))

    np.testing.assert_allclose(softmax(logits(model, images)), run(path, images), rtol=1e-4)


def test_logits_stay_logits(tmp_path):
    path = dense(tmp_path / "net.onnx", 3)
    images = numbers(2, 3, 4, 4)

    model, done = rewritten(path, config_for(**SMALL))

    np.testing.assert_allclose(logits(model, images), run(path, images), rtol=1e-4)
    assert done == []


def test_of_several_outputs_the_one_with_the_classes_is_taken(tmp_path):
    path = dense(tmp_path / "net.onnx", 3, ("Identity", ["logits"], ["named"], {}), output="flat", outputs=["named"])

    model, done = rewritten(path, config_for(**SMALL))

    assert logits(model, numbers(2, 3, 4, 4)).shape == (2, 3)
    assert "'named'" in done[0]


@pytest.mark.parametrize(("kind", "classes"), [("last", 3), ("small", 3), ("one", 1), ("two of one", 2)])
def test_masks_get_their_form(tmp_path, kind, classes):
    planes = 1 if kind == "two of one" else classes
    weights = {"w": numbers(planes, 3, 2, 2)} if kind == "small" else {"w": numbers(planes, 3, 1, 1)}
    strides = {"strides": [2, 2]} if kind == "small" else {}
    nodes = [("Conv", ["images", "w"], ["logits"], strides)]
    last = ("Transpose", ["logits"], ["out"], {"perm": [0, 2, 3, 1]}) if kind == "last" else (
        "Identity", ["logits"], ["out"], {})  # fmt: skip
    path = make(tmp_path / "net.onnx", [*nodes, last], weights, ["N", 3, 8, 8])

    model, _ = rewritten(path, config_for("segmentation", classes, height=8, width=8))

    assert logits(model, numbers(2, 3, 8, 8)).shape == (2, classes, 8, 8)


def test_another_number_of_classes_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(JobFailure, match=r"gives 3 for each image; 5 numbers"):
        rewritten(dense(tmp_path / "net.onnx", 3), config_for(classes=5, **SMALL))


def test_another_size_of_images_is_refused(tmp_path):
    with pytest.raises(JobFailure, match=r"takes images of 3 x 4 x 4 .* not 3 x 16 x 16"):
        rewritten(dense(tmp_path / "net.onnx", 3), config_for())


def test_whole_numbers_as_input_are_refused(tmp_path):
    path = make(tmp_path / "net.onnx", [("Cast", ["images"], ["out"], {"to": 1})], {}, ["N", 3, 4, 4],
                kind=TensorProto.UINT8)  # fmt: skip

    with pytest.raises(JobFailure, match="numbers of type uint8; float32 is expected"):
        rewritten(path, config_for(**SMALL))


@pytest.mark.parametrize("make_file", [tensorflow_like, eddl_like])
def test_the_last_layer_gets_other_classes_and_all_else_stays(tmp_path, make_file):
    shape = {"channels": 1, "height": 8, "width": 8} if make_file is eddl_like else {}
    model, _ = rewritten(make_file(tmp_path / "net.onnx"), config_for(**shape))
    before = dict(GraphModule(model).state_dict())

    names = replace_head(model, 5)

    after = GraphModule(model).state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before.get(name, torch.empty(0)))}
    assert changed == set(names) and len(names) == 2
    images = numbers(2, *([1, 8, 8] if shape else [3, 16, 16]))
    assert logits(model, images).shape == (2, 5)


def test_two_logits_of_one_become_others(tmp_path):
    path = dense(tmp_path / "net.onnx", 1, ("Sigmoid", ["logits"], ["out"], {}))
    model, _ = rewritten(path, config_for(classes=2, **SMALL))

    replace_head(model, 4)

    assert logits(model, numbers(2, 3, 4, 4)).shape == (2, 4)


def test_a_size_behind_the_last_layer_follows(tmp_path):
    shape = {"shape": np.array([-1, 3], np.int64)}
    path = dense(tmp_path / "net.onnx", 3, ("Reshape", ["logits", "shape"], ["out"], {}), weights=shape)
    model, _ = rewritten(path, config_for(**SMALL))

    replace_head(model, 7)

    assert logits(model, numbers(2, 3, 4, 4)).shape == (2, 7)


@pytest.mark.parametrize("name", ["dense/kernel", "product", "MatMul_8", "logits"])
def test_the_last_layer_has_several_names(tmp_path, name):
    model, _ = rewritten(tensorflow_like(tmp_path / "net.onnx"), config_for())

    assert find_head(model, name).node.op_type == "MatMul"


@pytest.mark.parametrize(("name", "words"), [("conv/kernel", "is another one"), ("fc", "is not in the network")])
def test_only_the_last_layer_can_be_replaced(tmp_path, name, words):
    model, _ = rewritten(tensorflow_like(tmp_path / "net.onnx"), config_for())

    with pytest.raises(JobFailure, match=words):
        replace_head(model, 5, name)


def test_a_sigmoid_whose_result_other_outputs_use_too_is_cut(tmp_path):
    activation = ("Sigmoid", ["logits"], ["out"], {})
    others = [("Identity", ["out"], ["copy"], {}), ("Round", ["out"], ["decided"], {})]
    path = dense(tmp_path / "net.onnx", 1, activation, *others, outputs=("decided", "copy"))
    images = numbers(2, 3, 4, 4)

    model, _ = rewritten(path, config_for(classes=2, **SMALL))

    np.testing.assert_allclose(softmax(logits(model, images))[:, 1:], run(path, images), rtol=1e-4)


def test_a_plane_without_an_axis_for_its_class_gets_one(tmp_path):
    nodes = [("Conv", ["images", "w"], ["plane"], {}), ("Squeeze", ["plane", "axes"], ["out"], {})]
    weights = {"w": numbers(1, 3, 1, 1), "axes": np.array([1], np.int64)}
    path = make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4])
    images = numbers(2, 3, 4, 4)

    model, _ = rewritten(path, config_for("segmentation", classes=1, **SMALL))

    np.testing.assert_allclose(logits(model, images)[:, 0], run(path, images), rtol=1e-4)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_decided_classes_are_no_classes_with_probabilities(tmp_path, task):
    nodes = [("Conv", ["images", "w"], ["planes"], {})]
    if task == "classification":
        nodes.append(("GlobalAveragePool", ["planes"], ["pooled"], {}))
    nodes.append(("ArgMax", [nodes[-1][2][0]], ["out"], {"axis": 1, "keepdims": int(task == "segmentation")}))
    path = make(tmp_path / "net.onnx", nodes, {"w": numbers(2, 3, 1, 1)}, ["N", 3, 4, 4], output_kind=TensorProto.INT64)

    with pytest.raises(JobFailure, match="whole numbers, such as the decided class"):
        rewritten(path, config_for(task, classes=2, **SMALL))
