"""A foreign file is understood, or refused with one sentence."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_files import eddl_like, make, numbers, run, tensorflow_like

from app.engines import get_engine
from app.errors import InvalidInput, JobFailure
from app.training.engine import Wanted

CLASSIFY, SEGMENT = Wanted("classification"), Wanted("segmentation")
DENSE = {"w": numbers(48, 3), "b": numbers(3)}


def dense(path, shape=("N", 3, 4, 4), count=3, opset=13, **options):
    """A file of one dense layer."""
    nodes = [("Flatten", ["images"], ["flat"], {}), ("Gemm", ["flat", "w", "b"], ["out"], {})]
    return make(path, nodes, {"w": numbers(48, count), "b": numbers(count)}, list(shape), opset=opset, **options)


def taken(path, wanted):
    """Return what became of a file, and the network."""
    graph = path.with_name("graph.onnx")
    engine = get_engine("torch")
    imported = engine.import_onnx(path, wanted, graph)
    return imported, engine.build(imported.config, graph)


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_what_nobody_says_is_found_in_the_file(tmp_path):
    imported, _ = taken(eddl_like(tmp_path / "net.onnx"), CLASSIFY)
    config = imported.config
    assert (config.architecture, config.channels, config.input_height, config.input_width) == (
        "onnx_classification", 1, 8, 8,
    )  # fmt: skip
    assert config.classes == ("0", "1", "2") and "have no names" in imported.notes[0]
    assert imported.last_layer == "Gemm_6"


def test_channels_last_are_turned(tmp_path):
    path = tensorflow_like(tmp_path / "net.onnx")
    imported, network = taken(path, CLASSIFY)
    assert imported.config.channels == 3
    images = numbers(2, 3, 16, 16)
    np.testing.assert_allclose(network.predict_batch(images), run(path, images.transpose(0, 2, 3, 1)), rtol=1e-4)


def test_images_are_prepared_as_the_network_expects_them(tmp_path):
    path = dense(tmp_path / "net.onnx")
    mean, std = (103.9, 116.8, 123.7), (57.0, 58.0, 59.0)
    wanted = Wanted("classification", largest_value=255.0, mean=mean, std=std, is_blue_first=True)
    _, network = taken(path, wanted)
    images = np.random.default_rng(0).random((2, 3, 4, 4), dtype=np.float32)

    blue_first = images[:, ::-1] * 255
    prepared = (blue_first - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(std, (1, 3, 1, 1))
    expected = probabilities(run(path, prepared.astype(np.float32)))

    np.testing.assert_allclose(network.predict_batch(images), expected, rtol=1e-4)
    network.export_onnx(tmp_path / "out.onnx", {})
    np.testing.assert_allclose(get_engine("torch").run_onnx(tmp_path / "out.onnx", images), expected, rtol=1e-4)


def test_a_file_says_what_the_service_once_wrote_into_it(tmp_path):
    path = dense(tmp_path / "net.onnx")
    model = onnx.load(path)
    facts = {"task": "classification", "classes": json.dumps(["x", "y", "z"]), "is_multi_label": "true"}
    onnx.helper.set_model_props(model, {f"deephealth.{name}": value for name, value in facts.items()})
    path.write_bytes(model.SerializeToString())

    imported, _ = taken(path, CLASSIFY)
    assert imported.config.classes == ("x", "y", "z") and imported.config.is_multi_label
    assert taken(path, Wanted("classification", classes=("a", "b", "c")))[0].config.classes == ("a", "b", "c")
    with pytest.raises(InvalidInput, match="for classification, and the model is for segmentation"):
        taken(path, SEGMENT)


@pytest.mark.parametrize("count", [1, 3])
def test_planes_of_masks_are_counted(tmp_path, count):
    weights = {"w": numbers(count, 3, 1, 1)}
    path = make(tmp_path / "net.onnx", [("Conv", ["images", "w"], ["out"], {})], weights, ["N", 3, 8, 8])
    assert taken(path, SEGMENT)[0].config.output_channels == count


@pytest.mark.parametrize(
    ("shape", "wanted", "field"),
    [
        (("N", 3, "H", "W"), {}, "input_height"),
        (("N", "C", 4, 4), {}, "colour_type"),
        (("N", 3, 4, 4), {"input_height": 8}, "input_height"),
        (("N", 3, 4, 4), {"mean": (0.1, 0.2)}, "mean"),
        (("N", 3, 4, 4), {"layer_to_remove": "conv1"}, "layer_to_remove"),
    ],
)
def test_what_does_not_fit_the_file_is_laid_at_its_field(tmp_path, shape, wanted, field):
    with pytest.raises(InvalidInput) as refusal:
        taken(dense(tmp_path / "net.onnx", shape), Wanted("classification", **wanted))
    assert list(refusal.value.errors) == [field] and refusal.value.message.startswith(field)


def test_an_open_size_is_the_one_that_was_sent(tmp_path):
    imported, _ = taken(dense(tmp_path / "net.onnx", ("N", "C", "H", "W")), Wanted("classification", None, 3, 4))
    assert (imported.config.channels, imported.config.input_height, imported.config.input_width) == (3, 4, 4)


def test_a_file_that_the_checker_of_onnx_refuses(tmp_path):
    path = make(tmp_path / "net.onnx", [("Relu", ["nothing"], ["out"], {})], {}, ["N", 3, 4, 4])
    with pytest.raises(JobFailure, match="no sound ONNX model: Nodes in a graph must be topologically sorted"):
        taken(path, CLASSIFY)


def test_classes_that_are_not_as_many_as_the_outputs(tmp_path):
    with pytest.raises(JobFailure, match=r"gives 3 for each image; 2 numbers.*check the classes"):
        taken(dense(tmp_path / "net.onnx"), Wanted("classification", classes=("a", "b")))


@pytest.mark.parametrize(("kind", "dtype"), [(TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, np.float64)])
def test_networks_of_other_real_numbers_become_float32_and_are_trained_and_downloaded_so(tmp_path, kind, dtype):
    weights = {name: value.astype(dtype) for name, value in DENSE.items()}
    nodes = [("Flatten", ["images"], ["flat"], {}), ("Gemm", ["flat", "w", "b"], ["out"], {})]
    imported, network = taken(make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4], kind=kind), CLASSIFY)
    assert any("are computed as float32" in note for note in imported.notes)
    images = numbers(4, 3, 4, 4)
    logits = images.reshape(4, -1) @ weights["w"].astype(np.float32) + weights["b"].astype(np.float32)
    np.testing.assert_allclose(network.predict_batch(images), probabilities(logits), rtol=1e-4)

    network.train_batch(images, np.array([0, 1, 2, 0]))
    network.export_onnx(tmp_path / "out.onnx", {})

    found = get_engine("torch").run_onnx(tmp_path / "out.onnx", images)
    np.testing.assert_allclose(found, network.predict_batch(images), rtol=1e-5)


def test_real_numbers_of_several_kinds_in_one_file(tmp_path):
    nodes = [
        ("Flatten", ["images"], ["flat"], {}),
        ("Cast", ["flat"], ["narrow"], {"to": TensorProto.FLOAT16}),
        ("MatMul", ["narrow", "w"], ["product"], {}),
        ("Cast", ["product"], ["out"], {"to": TensorProto.FLOAT}),
    ]
    weights = {"w": DENSE["w"].astype(np.float16)}
    _, network = taken(make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4]), CLASSIFY)
    images = numbers(4, 3, 4, 4)
    network.train_batch(images, np.array([0, 1, 2, 0]))
    network.export_onnx(tmp_path / "out.onnx", {})
    found = get_engine("torch").run_onnx(tmp_path / "out.onnx", images)
    np.testing.assert_allclose(found, network.predict_batch(images), rtol=1e-5)


def test_a_map_for_each_image_is_no_answer_to_which_class(tmp_path):
    nodes = [
        ("Conv", ["images", "k"], ["maps"], {}),
        ("Flatten", ["images"], ["flat"], {}),
        ("Gemm", ["flat", "w", "b"], ["scores"], {}),
    ]
    weights = {"k": numbers(5, 3, 3, 3), **DENSE}
    path = make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4], output="maps", outputs=["scores"])
    with pytest.raises(JobFailure, match="gives 5 x 2 x 2 numbers for each image, which are no classes; send the"):
        taken(path, CLASSIFY)
    assert taken(path, Wanted("classification", classes=("a", "b", "c")))[0].last_layer == "Gemm_2"


def test_a_network_that_was_exported_while_it_learned_is_refused(tmp_path):
    ones = np.ones(3, np.float32)
    layer = {"s": ones, "o": ones, "m": ones, "v": ones}
    nodes = [
        ("BatchNormalization", ["images", *layer], ["normal", "mean", "variance"], {"training_mode": 1}),
        ("Flatten", ["normal"], ["flat"], {}),
        ("Gemm", ["flat", "w", "b"], ["out"], {}),
    ]
    path = make(tmp_path / "net.onnx", nodes, {**layer, **DENSE}, ["N", 3, 4, 4], opset=15)
    with pytest.raises(JobFailure, match=r"BatchNormalization .*training_mode=1; export the network after model.eval"):
        taken(path, CLASSIFY)


def test_a_network_without_weights_is_refused(tmp_path):
    path = make(tmp_path / "net.onnx", [("GlobalAveragePool", ["images"], ["out"], {})], {}, ["N", 3, 4, 4])
    with pytest.raises(JobFailure, match="has no weights"):
        taken(path, CLASSIFY)


def test_a_network_that_blows_up_images_wants_too_much_memory(tmp_path):
    nodes = [("Tile", ["images", "times"], ["large"], {}), ("GlobalAveragePool", ["large"], ["out"], {})]
    path = make(tmp_path / "net.onnx", nodes, {"times": np.array([1, 1, 10**6, 10**6])}, ["N", 3, 4, 4])
    with pytest.raises(MemoryError):
        taken(path, CLASSIFY)


def test_what_onnxruntime_cannot_compute_is_a_sentence(tmp_path):
    path = dense(tmp_path / "net.onnx")
    with pytest.raises(JobFailure, match=r"onnxruntime cannot compute the network: .*imensions"):
        get_engine("torch").run_onnx(path, numbers(2, 3, 9, 9))


def test_freezing_leaves_the_last_layer_to_learn(tmp_path):
    _, network = taken(tensorflow_like(tmp_path / "net.onnx"), CLASSIFY)
    network.freeze_encoder(is_frozen=True)
    before = {name: value.clone() for name, value in network._module.state_dict().items()}
    network.train_batch(numbers(4, 3, 16, 16), np.array([0, 1, 2, 0]))
    changed = {name for name, value in network._module.state_dict().items() if not value.equal(before[name])}
    assert changed == {"dense/kernel", "dense/bias"}
    network.freeze_encoder(is_frozen=False)
    network.train_batch(numbers(4, 3, 16, 16), np.array([0, 1, 2, 0]))
    assert not network._module.state_dict()["conv/kernel"].equal(before["conv/kernel"])


def ending_in(path, *nodes):
    layers = [("Flatten", ["images"], ["flat"], {}), ("Gemm", ["flat", "w", "b"], ["logits"], {})]
    return make(path, [*layers, *nodes], DENSE, ["N", 3, 4, 4])


@pytest.mark.parametrize("said", [None, True])
def test_a_sigmoid_for_each_class_decides_each_by_itself(tmp_path, said):
    path = ending_in(tmp_path / "net.onnx", ("Sigmoid", ["logits"], ["out"], {}))

    imported, network = taken(path, Wanted("classification", is_multi_label=said))

    images = numbers(2, 3, 4, 4)
    np.testing.assert_allclose(network.predict_batch(images), run(path, images), rtol=1e-4)
    assert imported.config.is_multi_label and imported.config.loss == "binary_cross_entropy"
    assert any("is_multi_label=false" in note for note in imported.notes) is (said is None)


def test_classes_that_exclude_each_other_behind_sigmoids_are_taken_when_their_owner_says_so(tmp_path):
    path = ending_in(tmp_path / "net.onnx", ("Sigmoid", ["logits"], ["out"], {}))

    imported, network = taken(path, Wanted("classification", is_multi_label=False))

    np.testing.assert_allclose(network.predict_batch(numbers(2, 3, 4, 4)).sum(axis=1), 1, rtol=1e-5)
    assert any("made to sum to 1" in note for note in imported.notes)


SOFTMAX_BY_HAND = (
    ("Exp", ["logits"], ["powers"], {}),
    ("Sqrt", ["powers"], ["roots"], {}),
    ("ReduceSumSquare", ["roots"], ["sum"], {"axes": [1]}),
    ("Div", ["powers", "sum"], ["out"], {}),
)


@pytest.mark.parametrize("nodes", [[("Softmax", ["logits"], ["out"], {"axis": 1})], SOFTMAX_BY_HAND])
def test_classes_that_exclude_each_other_are_not_multi_label(tmp_path, nodes):
    path = ending_in(tmp_path / "net.onnx", *nodes)

    with pytest.raises(InvalidInput, match="exclude each other") as refused:
        taken(path, Wanted("classification", is_multi_label=True))

    assert refused.value.errors.keys() == {"is_multi_label"}


def planes(path, count, activation="Sigmoid"):
    """A file that gives planes of numbers between 0 and 1."""
    nodes = [("Conv", ["images", "w", "b"], ["logits"], {}), (activation, ["logits"], ["out"], {})]
    return make(path, nodes, {"w": 9 * numbers(count, 3, 1, 1), "b": numbers(count)}, ["N", 3, 8, 8])


@pytest.mark.parametrize("classes", [None, ("nothing", "organ", "tumour")])
def test_planes_that_end_with_a_sigmoid_leave_the_background_to_pixels_that_none_has(tmp_path, classes):
    path, images = planes(tmp_path / "net.onnx", 2), numbers(3, 3, 8, 8)

    imported, network = taken(path, Wanted("segmentation", classes=classes))

    given = run(path, images)
    decided = np.where((given < 0.5).all(axis=1), 0, 1 + given.argmax(axis=1))
    assert set(np.unique(decided)) == {0, 1, 2}
    np.testing.assert_array_equal(network.predict_batch(images).argmax(axis=1), decided)
    assert imported.config.classes == (classes or ("0", "1", "2"))
    assert any("the background, which is the first class, where none reaches 0.5" in note for note in imported.notes)
    network.export_onnx(tmp_path / "out.onnx", {})
    exported = get_engine("torch").run_onnx(tmp_path / "out.onnx", images)
    np.testing.assert_array_equal(exported.argmax(axis=1), decided)


def test_planes_that_end_with_a_sigmoid_learn_other_classes(tmp_path):
    imported, _ = taken(planes(tmp_path / "net.onnx", 2), SEGMENT)
    config = replace(imported.config, classes=("a", "b", "c", "d", "e"))
    network = get_engine("torch").build(config, tmp_path / "graph.onnx")

    targets = np.arange(2 * 64).reshape(2, 8, 8) % 5
    assert network.train_batch(numbers(2, 3, 8, 8), targets).probabilities.shape == (2, 5, 8, 8)
    assert imported.last_layer == "Conv_0"


@pytest.mark.parametrize("count", [2, 3])
def test_as_many_classes_as_planes_with_a_sigmoid_are_taken_with_a_word_about_the_background(tmp_path, count):
    path, images = planes(tmp_path / "net.onnx", count), numbers(3, 3, 8, 8)

    imported, network = taken(path, Wanted("segmentation", classes=tuple("abc"[:count])))

    np.testing.assert_array_equal(network.predict_batch(images).argmax(axis=1), run(path, images).argmax(axis=1))
    assert any("send one more name in classes" in note for note in imported.notes)


@pytest.mark.parametrize("count", [1, 2])
def test_a_hard_sigmoid_at_the_end_is_refused(tmp_path, count):
    for wanted, path in [
        (SEGMENT, planes(tmp_path / "planes.onnx", count, "HardSigmoid")),
        (CLASSIFY, ending_in(tmp_path / "classes.onnx", ("HardSigmoid", ["logits"], ["out"], {}))),
    ]:
        with pytest.raises(JobFailure, match=r"ends with a HardSigmoid, .* export it without"):
            taken(path, wanted)


def test_the_one_output_of_two_classes_is_a_last_layer_that_learns_alone(tmp_path):
    layers = [("Flatten", ["images"], ["flat"], {}), ("Gemm", ["flat", "v"], ["hidden"], {})]
    nodes = [*layers, ("Gemm", ["hidden", "w", "b"], ["logits"], {}), ("Sigmoid", ["logits"], ["out"], {})]
    weights = {"v": numbers(48, 5), "w": numbers(5, 1), "b": numbers(1)}
    path = make(tmp_path / "net.onnx", nodes, weights, ["N", 3, 4, 4])

    imported, network = taken(path, Wanted("classification", classes=("a", "b")))
    network.freeze_encoder(is_frozen=True)

    learns = {name for name, parameter in network._module.named_parameters() if parameter.requires_grad}
    assert imported.last_layer == "Gemm_2" and learns == {"w", "b"}
