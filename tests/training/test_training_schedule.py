"""The learning rate of each step, beside PyTorch's schedulers where they have the same formula."""

import math

import pytest
import torch
from test_training_loading import config_for
from torch.optim import lr_scheduler

from app.training.schedule import PLATEAU_EPOCHS, PLATEAU_FACTOR, earliest_reduction, is_plateau, learning_rate

EPOCHS, STEPS = 9, 4


def rates(drops=0, **values):
    config = config_for(epochs=EPOCHS, learning_rate=0.2, **values)
    return [learning_rate(config, epoch, step, STEPS, drops) for epoch in range(1, EPOCHS + 1) for step in range(STEPS)]


def torch_rates(build, count):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler = build(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_a_constant_rate():
    assert rates() == [0.2] * EPOCHS * STEPS


def test_cosine_is_that_of_pytorch():
    expected = torch_rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * STEPS), EPOCHS * STEPS)

    assert rates(lr_schedule="cosine") == pytest.approx(expected)


def test_step_is_that_of_pytorch_after_each_third_of_the_epochs():
    expected = torch_rates(lambda optimizer: lr_scheduler.StepLR(optimizer, EPOCHS // 3), EPOCHS)

    assert rates(lr_schedule="step")[::STEPS] == pytest.approx(expected)
    assert rates(lr_schedule="step")[STEPS - 1 :: STEPS] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "plateau"])
def test_a_warm_up_rises_by_the_same_at_each_step_and_the_schedule_follows(schedule):
    found = rates(lr_schedule=schedule, warmup_epochs=3)

    assert found[:12] == pytest.approx([0.2 * (step + 1) / 12 for step in range(12)])
    assert found[12] == 0.2
    assert found[12:] == pytest.approx(
        [
            learning_rate(config_for(epochs=6, learning_rate=0.2, lr_schedule=schedule), epoch, step, STEPS, 0)
            for epoch in range(1, 7)
            for step in range(STEPS)
        ]
    )


def test_a_plateau_is_that_of_pytorch():
    values = [
        0.9,
        0.8,
        0.8,
        0.7,
        0.75,
        0.75,
        0.74,
        0.71,
        0.7,
        0.7,
        0.72,
        0.73,
        0.74,
        0.7,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
    ]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_EPOCHS - 1, threshold=0, threshold_mode="abs"
    )
    config = config_for(epochs=len(values), learning_rate=0.2, lr_schedule="plateau")
    best, best_epoch, drops, dropped_at, expected, found = math.inf, 0, 0, 0, [], []
    for epoch, value in enumerate(values, start=1):
        expected.append(optimizer.param_groups[0]["lr"])
        found.append(learning_rate(config, epoch, 0, STEPS, drops))
        scheduler.step(value)
        if value < best:
            best, best_epoch = value, epoch
        if is_plateau(config, epoch, best_epoch, dropped_at):
            drops, dropped_at = drops + 1, epoch

    assert found == pytest.approx(expected) and len(set(found)) == 4


def test_without_that_schedule_there_is_no_plateau():
    assert not is_plateau(config_for(epochs=50), 40, 1, 0)


@pytest.mark.parametrize("epochs", range(1, 12))
@pytest.mark.parametrize("warm_up", [0, 2])
def test_the_earliest_reduction_is_the_one_that_comes(epochs, warm_up):
    config = config_for(epochs=epochs + warm_up, learning_rate=0.2, lr_schedule="step", warmup_epochs=warm_up)
    reduced = [epoch for epoch in range(1, config.epochs + 1) if learning_rate(config, epoch, 3, 4, 0) < 0.19]

    after = [epoch - 1 for epoch in reduced if epoch > warm_up] or [config.epochs]

    assert earliest_reduction(config) == after[0]


def test_the_earliest_plateau_comes_when_no_epoch_is_better_than_the_first():
    config = config_for(epochs=20, lr_schedule="plateau")
    assert not is_plateau(config, earliest_reduction(config) - 1, 1, 0)
    assert is_plateau(config, earliest_reduction(config), 1, 0)


def test_the_epochs_of_a_warm_up_are_not_counted_for_a_plateau():
    config = config_for(epochs=20, lr_schedule="plateau", warmup_epochs=3)
    assert not is_plateau(config, 3 + PLATEAU_EPOCHS - 1, 1, 0)
    assert is_plateau(config, 3 + PLATEAU_EPOCHS, 1, 0)
