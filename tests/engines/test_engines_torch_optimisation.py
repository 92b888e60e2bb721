"""Checkpoints of optimizers from other versions and devices, and steps from scaled gradients of float16."""

import copy

import pytest
import torch
from test_engines_contract import CLASSIFICATION, changed
from torch import nn

from app.engines.torch_engine.optimisation import MOMENTUM, Optimisation

RATES = {"lr": 0.1, "weight_decay": 0.01}
PLAIN = {
    "adam": lambda parameters: torch.optim.Adam(parameters, **RATES),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, **RATES),
    "sgd": lambda parameters: torch.optim.SGD(parameters, momentum=MOMENTUM, **RATES),
}


def convolution():
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3)


def optimisation(module, optimizer, half_precision=None):
    config = changed(CLASSIFICATION, optimizer=optimizer, learning_rate=RATES["lr"], weight_decay=RATES["weight_decay"])
    return Optimisation(module, config, torch.device("cpu"), half_precision)


def objective(module, seed=0):
    images = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return module(images).square().mean()


@pytest.mark.parametrize("half_precision", [None, torch.float16])
@pytest.mark.parametrize("optimizer", PLAIN)
def test_a_checkpoint_with_plain_steps_and_another_order_in_memory_goes_on(optimizer, half_precision):
    before = convolution()
    plain = PLAIN[optimizer](before.parameters())
    objective(before, 1).backward()
    plain.step()
    state = {"optimizer": copy.deepcopy(plain.state_dict()), "scaler": {}, "gradients": [None, None]}

    after = copy.deepcopy(before).to(memory_format=torch.channels_last)
    fused = optimisation(after, optimizer, half_precision)
    fused.restore(state)
    fused.add_gradient(objective(after, 2))
    fused.step()

    plain.zero_grad()
    objective(before, 2).backward()
    plain.step()
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", PLAIN)
def test_gradients_that_wait_go_on_in_another_order_in_memory(optimizer):
    before = convolution()
    first = optimisation(before, optimizer)
    first.add_gradient(objective(before))
    state = copy.deepcopy(first.state())
    first.step()

    after = convolution().to(memory_format=torch.channels_last)
    second = optimisation(after, optimizer)
    second.restore(state)
    second.step()

    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("optimizer", PLAIN)
def test_a_step_from_gradients_that_overflow_is_left_out_and_the_scale_falls(optimizer):
    module = convolution()
    scaled = optimisation(module, optimizer, torch.float16)
    untouched = copy.deepcopy(module.state_dict())
    scaled.add_gradient(objective(module) * float("inf"))
    scaled.step()
    scale = scaled.state()["scaler"]["scale"]

    assert scale < 2.0**16
    assert all(torch.equal(value, untouched[name]) for name, value in module.state_dict().items())
    moments = [moment for state in scaled.state()["optimizer"]["state"].values() for moment in state.values()]
    assert not any(moment.any() for moment in moments)


def test_a_scale_that_fell_stays_so():
    module = convolution()
    scaled = optimisation(module, "adam", torch.float16)
    scaled.add_gradient(objective(module) * float("inf"))
    scaled.step()
    after = optimisation(module, "adam", torch.float16)

    after.restore(scaled.state())

    assert after.state()["scaler"] == scaled.state()["scaler"]


@pytest.mark.parametrize("optimizer", PLAIN)
def test_layers_that_join_later_learn_as_in_plain_steps(optimizer):
    module = nn.Sequential(convolution(), nn.ReLU(), nn.Conv2d(4, 2, 1))
    other = copy.deepcopy(module)
    fused, plain = optimisation(module, optimizer), PLAIN[optimizer](other.parameters())
    for step in range(4):
        for network in (module, other):
            network[0].requires_grad_(step >= 2)
            objective(network, step).backward()
        fused.step()
        plain.step()
        plain.zero_grad()

    for one, same in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", PLAIN)
def test_plain_steps_go_on_from_a_checkpoint_of_another_order_in_memory(optimizer):
    module = convolution().to(memory_format=torch.channels_last)
    fused = optimisation(module, optimizer)
    fused.add_gradient(objective(module, 1))
    fused.step()

    other = copy.deepcopy(module)
    plain = PLAIN[optimizer](other.parameters())
    plain.load_state_dict(copy.deepcopy(fused.state()["optimizer"]))
    for group in plain.param_groups:
        group["fused"] = False
    for seed in (2, 3):
        fused.add_gradient(objective(module, seed))
        fused.step()
        plain.zero_grad()
        objective(other, seed).backward()
        plain.step()

    for one, same in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", PLAIN)
def test_a_checkpoint_of_plain_steps_with_frozen_layers_lets_them_join(optimizer):
    module = nn.Sequential(convolution(), nn.ReLU(), nn.Conv2d(4, 2, 1))
    module[0].requires_grad_(False)
    plain = PLAIN[optimizer](module.parameters())
    objective(module, 1).backward()
    plain.step()
    plain.zero_grad()
    other = copy.deepcopy(module)
    fused = optimisation(other, optimizer)
    fused.restore({"optimizer": copy.deepcopy(plain.state_dict()), "scaler": {}, "gradients": [None] * 4})

    for step in (2, 3):
        for network in (module, other):
            network[0].requires_grad_(True)
            objective(network, step).backward()
        plain.step()
        plain.zero_grad()
        fused.step()

    for one, same in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)
