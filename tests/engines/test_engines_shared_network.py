"""A network in two processes learns what it learns in one."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from onnx_files import export, make, numbers
from torch import nn
from waiting import wait_until

from app.engines import get_engine
from app.errors import JobFailure, PartKilled
from app.pids import is_running
from app.settings import CLONE_FOLDER
from app.training.engine import Wanted
from tests.engines.test_engines_contract import CLASSIFICATION, batch_for, changed

TWO = {"devices": "two_cpus", "optimizer": "sgd"}
# Batch normalisation, dropout, and feature maps of one pixel for images this small.
EFFICIENTNET = changed(CLASSIFICATION, architecture="efficientnet_b0", input_height=32, input_width=32, channels=3)


@pytest.fixture(autouse=True)
def threads_as_before():
    """Give this process its threads back: two that share the cores take half of them each, and sums depend on that."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


def built(config, **values):
    return get_engine("torch").build(changed(config, **TWO | values))


def weights_of(network, path):
    network.save_weights(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "config", [CLASSIFICATION, changed(EFFICIENTNET, architecture="resnet18")], ids=["lenet", "resnet18"]
)
def test_two_processes_learn_what_one_learns(config):
    shared, single = built(config), built(config, devices="cpu")
    for samples in (16, 17, 1, 16):  # halves, unequal parts, fewer samples than processes
        images, targets = batch_for(config, samples)
        ours, its = shared.train_batch(images, targets), single.train_batch(images, targets)
        assert ours.loss == pytest.approx(its.loss, rel=5e-3)
        np.testing.assert_allclose(ours.probabilities, its.probabilities, atol=5e-3)
    evaluated = shared.evaluate_batch(images, targets)
    assert evaluated.loss == pytest.approx(single.evaluate_batch(images, targets).loss, rel=5e-3)
    np.testing.assert_array_equal(shared.predict_batch(images), evaluated.probabilities)


def test_a_checkpoint_holds_the_random_state_of_every_process(tmp_path):
    images, targets = batch_for(EFFICIENTNET, 5)
    first = built(EFFICIENTNET)
    first.train_batch(images, targets)
    first.save_checkpoint(tmp_path / "last", {"epoch": 2})
    first.train_batch(images, targets)

    second = built(EFFICIENTNET, seed=8)
    assert second.load_checkpoint(tmp_path / "last") == {"epoch": 2}
    second.train_batch(images, targets)

    assert weights_of(second, tmp_path / "second") == weights_of(first, tmp_path / "first")


def test_dropout_leaves_out_other_places_in_every_process(tmp_path):
    built(EFFICIENTNET).save_checkpoint(tmp_path / "fresh", {})

    fresh = torch.load(tmp_path / "fresh", weights_only=True)
    assert not torch.equal(fresh["random_state"], fresh["other_random_states"][0]["random_state"])


def uploaded(path, shape):
    """Write a network with batch normalisation for images of this shape, in the form that the service takes."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)]
    export(nn.Sequential(*layers, nn.BatchNorm1d(6), nn.Linear(6, 3)), path / "net.onnx", shape)
    imported = get_engine("torch").import_onnx(path / "net.onnx", Wanted("classification"), path / "graph.onnx")
    return changed(imported.config, learning_rate=0.01), path / "graph.onnx"


def test_two_processes_learn_from_the_statistics_of_a_whole_batch_in_an_uploaded_network(tmp_path):
    config, graph = uploaded(tmp_path, (1, 1, 16, 16))
    shared, single = (
        get_engine("torch").build(changed(config, **TWO | {"devices": devices}), graph)
        for devices in ("two_cpus", "cpu")
    )
    for samples in (8, 7, 1):
        images, targets = batch_for(config, samples)
        ours, its = shared.train_batch(images, targets), single.train_batch(images, targets)
        assert ours.loss == pytest.approx(its.loss, rel=1e-4)

    images, _ = batch_for(config, 6)  # half of them by the running statistics of the second process
    np.testing.assert_allclose(shared.predict_batch(images), single.predict_batch(images), atol=1e-5)
    shared.save_checkpoint(tmp_path / "last", {})
    resumed = get_engine("torch").build(changed(config, **TWO), graph)
    resumed.load_checkpoint(tmp_path / "last")
    np.testing.assert_array_equal(resumed.predict_batch(images), shared.predict_batch(images))


def test_one_failing_process_fails_them_all_with_its_reason():
    network = built(CLASSIFICATION)
    images, targets = batch_for(CLASSIFICATION)
    images[-1] = np.nan  # in the part of the second process
    with pytest.raises(JobFailure, match="The loss became nan"):
        network.train_batch(images, targets)


def test_a_killed_process_is_told():
    network = built(CLASSIFICATION)
    os.kill(network._processes.pids()[0], signal.SIGKILL)
    with pytest.raises(PartKilled, match="One of the 2 processes of this training died") as told:
        network.train_batch(*batch_for(CLASSIFICATION))
    assert told.value.signal == signal.SIGKILL


WAITS_FOR_EVER = """
import signal
from multiprocessing import active_children
from app.engines import get_engine
from app.engines.torch_engine import shared_network
from tests.engines.test_engines_contract import CLASSIFICATION, changed

def join(number, *others):
    print(active_children()[0].pid, flush=True)
    signal.pause()

shared_network._join = join  # here; the other process joins
get_engine("torch").build(changed(CLASSIFICATION, devices="two_cpus"))
"""


def test_no_process_waits_for_a_job_that_was_killed_before_they_met(tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", WAITS_FOR_EVER],
        cwd=CLONE_FOLDER,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )
    with job:
        other = int(job.stdout.readline())
        job.kill()

    wait_until(lambda: not is_running(other))


def test_a_network_for_a_fixed_number_of_images_is_not_shared(tmp_path):
    layers = [("Flatten", ["images"], ["flat"], {}), ("Gemm", ["flat", "w"], ["plain"], {})]
    nodes = [*layers, ("Add", ["plain", "b"], ["out"], {})]
    weights = {"w": numbers(48, 3), "b": numbers(2, 3)}  # a row for each of two images
    path = make(tmp_path / "net.onnx", nodes, weights, [2, 3, 4, 4])
    config = get_engine("torch").import_onnx(path, Wanted("classification"), tmp_path / "graph.onnx").config
    network = get_engine("torch").build(changed(config, **TWO), tmp_path / "graph.onnx")

    with pytest.raises(JobFailure, match=r"exactly 2 images at a time, .* choose a single device"):
        network.train_batch(*batch_for(config, 8))
