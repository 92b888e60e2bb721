"""A small training whose checkpoints lie in a folder, and can be gone on from."""

import math

import torch
from test_training_loading import config_for, loader_for

from app.engines import get_engine
from app.files import read_json
from app.runs.configs import EpochRow
from app.runs.layout import WeightsFolder
from app.runs.reader import read_rows
from app.runs.writer import append_row
from app.training.checkpoints import resume, save_epoch
from app.training.loop import train

EPOCHS = 4


class Keeper:
    """Saves as the job of a training does; every `interval` batches inside an epoch too."""

    def __init__(self, weights, config, interval=None):
        self.weights, self.config, self.interval = weights, config, interval
        self.batches = 0

    def progress(self, line, fraction, eta_seconds):
        assert math.isfinite(eta_seconds) and 0 <= fraction <= 1

    def epoch_scores(self, scores):
        row = {"epoch": scores.epoch, "split": scores.split, "loss": scores.loss, "metric": scores.metric}
        append_row(self.weights.metrics, row | {"samples": scores.samples})

    def is_checkpoint_due(self):
        self.batches += 1
        return self.interval is not None and self.batches % self.interval == 0

    def save(self, network, position, *, is_best, is_complete):
        save_epoch(self.weights, network, self.config, position, is_best=is_best, is_complete=is_complete)


def run(images, weights_path, *, stop_after=math.inf, interval=None, keeper=Keeper, **values):
    """Begin the training, or go on with what is in the weights folder; stop after a number of batches."""
    values = {"epochs": EPOCHS, "batch_size": 3, "training_augmentations": "AugRotate angle=[-30,30]"} | values
    config = config_for(**values)
    weights = WeightsFolder(weights_path)
    weights.path.mkdir(exist_ok=True)
    network = get_engine("torch").build(config)
    position = resume(weights, network)
    training = loader_for(images, config=config, indexes=range(7), is_shuffled=True)
    validation = loader_for(images, config=config, indexes=range(7, 11))
    asked = iter(range(10**9))
    return train(
        network,
        training,
        validation,
        config,
        keeper(weights, config, interval),
        lambda: next(asked) >= stop_after,
        position,
    )


def results(weights_path):
    """Return all that a training leaves, but for the time it took and the epochs that it was to have."""
    weights = WeightsFolder(weights_path)
    best = torch.load(weights.best, weights_only=True)["weights"]
    last = torch.load(weights.last, weights_only=True)
    last["position"].pop("seconds")
    card = read_json(weights.card)
    del card["config"]["epochs"]
    return best, last, read_rows(weights.metrics, EpochRow), card


def assert_same(first, second):
    """Compare two `results` bit for bit."""
    assert first[2:] == second[2:]
    for one, other in zip(first[:2], second[:2], strict=True):
        _assert_same(one, other)


def _assert_same(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for first, second in zip(one, other, strict=True):
            _assert_same(first, second)
    else:
        assert one == other or (math.isnan(one) and math.isnan(other))
