from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx_files import config_for, eddl_like, numbers, tensorflow_like
from test_engines_contract import CLASSIFICATION, SEGMENTATION, batch_for, changed

from app.engines import get_engine, installed_engines
from app.engines.torch_engine.onnx_graph import read_model
from app.engines.torch_engine.onnx_rewrite import rewrite
from app.errors import JobFailure
from app.zoo.architectures import ARCHITECTURES

CLOSE = 1e-4


@pytest.fixture(params=installed_engines())
def engine(request):
    return get_engine(request.param)


def assert_same(engine, network, path, images):
    expected = network.predict_batch(images)
    found = engine.run_onnx(path, images)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < CLOSE * np.abs(expected).max()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_the_same_in_onnxruntime_and_comes_back_with_all_its_weights(engine, tmp_path, name):
    like = SEGMENTATION if ARCHITECTURES[name].task == "segmentation" else CLASSIFICATION
    size = ARCHITECTURES[name].minimum_px + 6  # no multiple of what the network halves
    config = changed(
        like, architecture=name, classes=["a", "b", "c"], channels=3, input_height=size, input_width=size + 8,
        loss="cross_entropy",
    )  # fmt: skip
    network = engine.build(config)
    network.train_batch(*batch_for(config))
    images, _ = batch_for(config, samples=3)

    network.export_onnx(tmp_path / "model.onnx", {"deephealth.classes": '["a"]'})

    assert_same(engine, network, tmp_path / "model.onnx", images)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"deephealth.classes": '["a"]'}

    back = engine.build(config, uploaded(tmp_path / "model.onnx", config))
    assert back.parameter_count == network.parameter_count
    np.testing.assert_allclose(back.predict_batch(images), network.predict_batch(images), atol=CLOSE)


def uploaded(path, config):
    model = read_model(path)
    rewrite(model, config)
    graph = path.with_name("graph.onnx")
    graph.write_bytes(model.SerializeToString())
    return graph


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize(("make_file", "shape"), [(tensorflow_like, (3, 16, 16)), (eddl_like, (1, 8, 8))])
def test_a_trained_upload_is_the_same_in_onnxruntime(engine, tmp_path, make_file, shape, classes):
    own = config_for(channels=shape[0], height=shape[1], width=shape[2])
    graph = uploaded(make_file(tmp_path / "net.onnx"), own)
    config = replace(own, classes=tuple("abcde"[:classes]))
    network = engine.build(config, graph)
    for _ in range(3):
        network.train_batch(numbers(4, *shape), np.array([0, 1, 2, 0]))

    network.export_onnx(tmp_path / "model.onnx", {})

    assert_same(engine, network, tmp_path / "model.onnx", numbers(5, *shape, seed=1))


def test_weights_of_an_upload_are_saved_loaded_and_drawn_anew_by_their_names(engine, tmp_path):
    own = config_for()
    graph = uploaded(tensorflow_like(tmp_path / "net.onnx"), own)
    network = engine.build(own, graph)
    network.train_batch(numbers(4, 3, 16, 16), np.array([0, 1, 2, 0]))
    network.save_weights(tmp_path / "best.pt")

    same = engine.build(own, graph)
    assert list(same.load_weights(tmp_path / "best.pt")) == []
    other = engine.build(replace(own, classes=tuple("abcde")), graph)
    assert list(other.load_weights(tmp_path / "best.pt")) == ["dense/bias", "dense/kernel"]

    images = numbers(2, 3, 16, 16)
    np.testing.assert_array_equal(same.predict_batch(images), network.predict_batch(images))


def test_a_seed_draws_the_last_layer_of_an_upload(engine, tmp_path):
    graph = uploaded(tensorflow_like(tmp_path / "net.onnx"), config_for())
    images = numbers(2, 3, 16, 16)

    def predictions(seed):
        return engine.build(replace(config_for(), classes=tuple("abcd"), seed=seed), graph).predict_batch(images)

    np.testing.assert_array_equal(predictions(3), predictions(3))
    assert np.abs(predictions(4) - predictions(3)).max() > 0


def test_a_graph_that_is_none_is_refused(engine, tmp_path):
    (tmp_path / "graph.onnx").write_bytes(b"no graph")

    with pytest.raises(JobFailure, match="no ONNX model"):
        engine.build(config_for(), tmp_path / "graph.onnx")


def test_classes_that_exclude_nothing_keep_their_own_probabilities(engine, tmp_path):
    config = changed(CLASSIFICATION, is_multi_label=True, loss="binary_cross_entropy")
    network, (images, _) = engine.build(config), batch_for(config)
    network.export_onnx(tmp_path / "model.onnx", {})
    graph = uploaded(tmp_path / "model.onnx", config)

    back = engine.build(config, graph)
    back.export_onnx(tmp_path / "again.onnx", {})

    assert_same(engine, network, tmp_path / "model.onnx", images)
    np.testing.assert_allclose(back.predict_batch(images), network.predict_batch(images), atol=CLOSE)
    assert_same(engine, network, tmp_path / "again.onnx", images)
