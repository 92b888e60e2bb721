"""The short form of `make chaos`."""

from chaos import run_chaos


def test_nothing_is_lost_by_kills_and_a_power_cut():
    assert run_chaos(seed=11, seconds=12, most_trainings=4, names=("kill_job", "kill_program", "cut_power")) == []
