"""A network in two processes learns what it learns in one."""

import os
import signal

import numpy as np
import pytest
import torch

from app.engines import get_engine
from app.errors import JobFailure
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


def test_one_failing_process_fails_them_all_with_its_reason():
    network = built(CLASSIFICATION)
    images, targets = batch_for(CLASSIFICATION)
    images[-1] = np.nan  # in the part of the second process
    with pytest.raises(JobFailure, match="The loss became nan"):
        network.train_batch(images, targets)


def test_a_killed_process_is_told():
    network = built(CLASSIFICATION)
    os.kill(network._processes.pids()[0], signal.SIGKILL)
    with pytest.raises(JobFailure, match="One of the 2 processes of this training died"):
        network.train_batch(*batch_for(CLASSIFICATION))
