"""The short form of `make chaos`."""

import pytest
from chaos import run_chaos


@pytest.mark.timeout(1200)  # a minute of work, for which a busy machine takes many
def test_nothing_is_lost_by_kills_and_a_power_cut():
    acts = ("kill_job", "kill_program", "cut_power")  # by this seed Redis, then a training, then everything: each once
    assert run_chaos(seed=7, seconds=0, most_trainings=4, names=acts) == []
