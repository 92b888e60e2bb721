from dataclasses import replace
from itertools import pairwise

import pytest
from test_training_loading import config_for, folder, loader_for

from app.engines import get_engine
from app.training.loop import clock, train
from app.zoo.architectures import architecture_of

__all__ = ["folder"]


class Notes:
    """Keeps what the loop tells."""

    def __init__(self):
        self.lines, self.scores, self.saves = [], [], []

    def progress(self, line, fraction, eta_seconds):
        self.lines.append((line, fraction, eta_seconds))

    def epoch_scores(self, scores):
        self.scores.append(scores)

    def is_checkpoint_due(self):
        return False

    def save(self, network, position, *, is_best, is_complete):
        self.saves.append((replace(position), is_best, is_complete))


def run(folder, *, validation=True, should_stop=lambda: False, notes=None, **values):
    config = config_for(**{"epochs": 3} | values)
    notes = notes or Notes()
    network = get_engine("torch").build(config)
    training = loader_for(folder, config=config, indexes=range(7), is_shuffled=True)
    held_out = loader_for(folder, config=config, indexes=range(7, 11)) if validation else None
    return train(network, training, held_out, config, notes, should_stop), notes, network


def test_each_epoch_trains_and_validates_every_sample(folder):
    outcome, notes, _ = run(folder)

    assert [(scores.epoch, scores.split, scores.samples) for scores in notes.scores] == [
        (1, "training", 7), (1, "validation", 4), (2, "training", 7),
        (2, "validation", 4), (3, "training", 7), (3, "validation", 4),
    ]  # fmt: skip
    assert (outcome.epoch, outcome.is_stopped) == (3, False)


def test_validation_loss_is_the_mean_over_samples_and_not_over_batches(folder):
    _, notes, network = run(folder, epochs=1, batch_size=3)
    config = config_for(batch_size=4)
    (batch,) = loader_for(folder, config=config, indexes=range(7, 11)).batches(1)

    at_once = network.evaluate_batch(batch.images, batch.targets)

    assert notes.scores[1].loss == pytest.approx(at_once.loss, rel=1e-5)


@pytest.mark.parametrize(("metric", "better"), [("categorical_accuracy", max), ("mean_squared_error", min)])
def test_the_best_epoch_is_that_of_the_best_validation_value(folder, metric, better):
    outcome, notes, _ = run(folder, epochs=6, metric=metric, learning_rate=0.02)

    values = [scores.metric for scores in notes.scores if scores.split == "validation"]
    assert outcome.best_value == better(values)
    assert outcome.best_epoch == values.index(better(values)) + 1
    assert [position.best_epoch for position, is_best, _ in notes.saves if is_best][-1] == outcome.best_epoch
    assert [position.epoch for position, *_ in notes.saves] == [2, 3, 4, 5, 6, 7]


def test_without_validation_the_training_split_decides(folder):
    outcome, notes, _ = run(folder, validation=False)

    assert {scores.split for scores in notes.scores} == {"training"}
    assert outcome.best_value == max(scores.metric for scores in notes.scores)


@pytest.mark.parametrize(("steps", "epoch", "is_best"), [(1, 1, True), (4, 2, False)])
def test_a_stop_is_obeyed_at_the_next_step_and_the_network_is_saved(folder, steps, epoch, is_best):
    asked = iter([False] * steps + [True] * 10)

    outcome, notes, _ = run(folder, should_stop=lambda: next(asked))

    assert (outcome.epoch, outcome.is_stopped) == (epoch, True)
    assert notes.saves[-1][0].epoch == epoch and notes.saves[-1][1:] == (is_best, False)


def test_the_best_epoch_may_be_that_of_the_lowest_loss(folder):
    outcome, notes, _ = run(folder, epochs=6, keep_best_by="loss", learning_rate=0.02)

    losses = [scores.loss for scores in notes.scores if scores.split == "validation"]
    assert (outcome.best_epoch, outcome.best_value) == (losses.index(min(losses)) + 1, min(losses))


def test_patience_ends_a_training_that_brings_nothing_better(folder):
    outcome, notes, _ = run(folder, epochs=50, early_stopping_patience=3, learning_rate=1e-9)

    assert (outcome.epoch, outcome.is_early, outcome.is_stopped) == (outcome.best_epoch + 3, True, False)
    assert notes.saves[-1][0].epoch == outcome.epoch + 1
    assert not run(folder, epochs=4, early_stopping_patience=4, learning_rate=1e-9)[0].is_early


def test_a_plateau_reduces_the_rate(folder):
    _, notes, _ = run(folder, epochs=12, lr_schedule="plateau", learning_rate=1e-9)

    rates = [scores.learning_rate for scores in notes.scores if scores.split == "training"]
    assert rates == [1e-9] * 6 + [5e-10] * 5 + [2.5e-10]


def test_the_rate_of_each_step_and_the_steps_are_those_of_accumulated_batches(folder):
    _, notes, _ = run(folder, epochs=2, batch_size=2, gradient_accumulation=3, warmup_epochs=1)

    # Seven samples are four batches, so two steps: of six samples, and of one.
    assert [scores.learning_rate for scores in notes.scores if scores.split == "training"] == [1e-3, 1e-3]


def test_accumulated_batches_learn_as_large_ones(folder):
    _, large, _ = run(folder, epochs=3, batch_size=6, optimizer="sgd")
    _, small, _ = run(folder, epochs=3, batch_size=2, gradient_accumulation=3, optimizer="sgd")

    for one, other in zip(large.scores, small.scores, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)


def test_the_last_step_learns_as_much_from_the_images_that_are_left(folder):
    values = {"epochs": 1, "batch_size": 4, "optimizer": "sgd"}
    _, _, network = run(folder, validation=False, **values)
    config = config_for(**values)
    by_hand = get_engine("torch").build(config)

    batches = list(loader_for(folder, config=config, indexes=range(7), is_shuffled=True).batches(1))
    for batch in batches:  # four images, then three: each step has the plain mean of its own
        by_hand.train_batch(batch.images, batch.targets)

    for batch in batches:
        assert (network.predict_batch(batch.images) == by_hand.predict_batch(batch.images)).all()


def test_each_step_of_a_warm_up_is_made_at_its_own_rate(folder):
    values = {"epochs": 2, "batch_size": 4, "optimizer": "sgd", "warmup_epochs": 1, "learning_rate": 0.1}
    _, notes, _ = run(folder, validation=False, **values)
    config = config_for(**values)
    by_hand = get_engine("torch").build(config)

    batches = loader_for(folder, config=config, indexes=range(7), is_shuffled=True).batches(1)
    losses = []
    for batch, rate in zip(batches, [0.05, 0.1], strict=True):
        by_hand.set_learning_rate(rate)
        losses.append(len(batch.indexes) * by_hand.train_batch(batch.images, batch.targets).loss)
    second = loader_for(folder, config=config, indexes=range(7), is_shuffled=True).batches(2)
    losses += [len(batch.indexes) * by_hand.train_batch(batch.images, batch.targets).loss for batch in second]

    assert [scores.loss for scores in notes.scores] == [sum(losses[:2]) / 7, sum(losses[2:]) / 7]


class Photographer(Notes):
    """Keeps the parameters as they are after each epoch."""

    def __init__(self):
        super().__init__()
        self.pictures = []

    def save(self, network, position, *, is_best, is_complete):
        self.pictures.append({name: value.clone() for name, value in network._module.named_parameters()})


def test_the_encoder_is_frozen_for_as_many_epochs_as_said(folder):
    _, photographs, _ = run(folder, epochs=4, freeze_epochs=2, notes=Photographer())

    encoder = architecture_of("lenet").encoder
    changed = [
        {name.startswith(encoder) for name, value in before.items() if not value.equal(after[name])}
        for before, after in pairwise(photographs.pictures)
    ]
    assert changed == [{False}, {False, True}, {False, True}]  # the second epoch, the third and the fourth


def test_the_progress_line_says_all_that_a_person_wants(folder):
    _, notes, _ = run(folder)

    line, fraction, eta_seconds = notes.lines[1]
    assert line.startswith("Train 1/3 - batch 2/2 - cross_entropy=")
    assert " - categorical_accuracy=" in line and " img/s - ETA 0:" in line
    assert fraction == pytest.approx(7 / 33) and eta_seconds > 0
    fractions = [fraction for _, fraction, _ in notes.lines]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert notes.lines[-1][2] > 0  # the last weights are still to be saved


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (41.4, "0:41"), (3599.6, "1:00:00"), (7325, "2:02:05")])
def test_durations_are_written_as_people_write_them(seconds, text):
    assert clock(seconds) == text
