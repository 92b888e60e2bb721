"""A training that goes on from a checkpoint ends as one that was never interrupted, bit for bit."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from resumable import EPOCHS, Keeper, assert_same, results, run
from test_training_loading import folder, write_images

from app.errors import JobFailure
from app.runs.layout import WeightsFolder

__all__ = ["folder"]

BATCHES_OF_AN_EPOCH = 3 + 2


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What the training ends with that nothing interrupts."""
    place = tmp_path_factory.mktemp("straight")
    run(write_images(place), place / "weights")
    return results(place / "weights")


@pytest.mark.parametrize("stop_after", range(1, EPOCHS * BATCHES_OF_AN_EPOCH))
def test_a_stop_at_any_batch_costs_nothing(folder, tmp_path, straight, stop_after):
    weights = tmp_path / "stopped"
    stopped = run(folder, weights, stop_after=stop_after)
    assert stopped.is_stopped

    outcome = run(folder, weights)

    assert not outcome.is_stopped
    assert_same(results(weights), straight)


def test_a_training_that_is_stopped_at_every_batch_comes_to_the_same_end(folder, tmp_path, straight):
    weights = tmp_path / "stopped"
    stops = 0
    while run(folder, weights, stop_after=1).is_stopped:
        stops += 1

    assert stops == EPOCHS * BATCHES_OF_AN_EPOCH - 1
    assert_same(results(weights), straight)


ALL_AT_ONCE = {
    "batch_size": 2, "gradient_accumulation": 3, "lr_schedule": "cosine", "warmup_epochs": 1, "optimizer": "sgd",
    "class_weights": "sampler", "freeze_epochs": 2, "keep_best_by": "loss", "precision": "mixed", "batch_parts": 2,
    "architecture": "densenet121", "input_height": 32, "input_width": 32, "epochs": 3,
}  # fmt: skip


def test_every_property_survives_a_stop(folder, tmp_path):
    run(folder, tmp_path / "straight", **ALL_AT_ONCE)
    while run(folder, tmp_path / "stopped", stop_after=4, **ALL_AT_ONCE).is_stopped:
        pass

    assert_same(results(tmp_path / "stopped"), results(tmp_path / "straight"))


def test_patience_is_counted_on(folder, tmp_path):
    values = {"epochs": 30, "early_stopping_patience": 4, "learning_rate": 1e-9, "lr_schedule": "constant"}
    straight = run(folder, tmp_path / "straight", **values)
    while (outcome := run(folder, tmp_path / "stopped", stop_after=7, **values)).is_stopped:
        pass

    assert outcome == straight and outcome.is_early
    assert_same(results(tmp_path / "stopped"), results(tmp_path / "straight"))
    assert run(folder, tmp_path / "stopped", **values) == straight


def test_a_rate_that_fell_on_a_plateau_stays_so(folder, tmp_path):
    values = {"epochs": 13, "learning_rate": 1e-6, "lr_schedule": "plateau"}
    run(folder, tmp_path / "straight", **values)
    while run(folder, tmp_path / "stopped", stop_after=7, **values).is_stopped:
        pass

    position = results(tmp_path / "straight")[1]["position"]
    assert (position["rate_drops"], position["dropped_at"]) == (2, 11)
    assert_same(results(tmp_path / "stopped"), results(tmp_path / "straight"))


def test_more_epochs_give_what_they_would_have_given_at_once(folder, tmp_path):
    run(folder, tmp_path / "at once", epochs=6)
    run(folder, tmp_path / "more", epochs=3)
    run(folder, tmp_path / "more", epochs=6)

    assert_same(results(tmp_path / "more"), results(tmp_path / "at once"))


class Photographer(Keeper):
    """Copies the weights folder at the end of each epoch, before and after `last` was replaced."""

    def save(self, network, position, *, is_best, is_complete):
        before = self.weights.last.read_bytes() if self.weights.last.exists() else None
        super().save(network, position, is_best=is_best, is_complete=is_complete)
        picture = self.weights.path.with_name(f"epoch {position.epoch - 1}")
        shutil.copytree(self.weights.path, picture)
        if before is None:
            (picture / "last.pt").unlink()
        else:
            (picture / "last.pt").write_bytes(before)


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_a_death_between_best_and_last_repeats_the_epoch(folder, tmp_path, straight, epoch):
    run(folder, tmp_path / "photographed", keeper=Photographer)

    run(folder, tmp_path / f"epoch {epoch}")

    assert_same(results(tmp_path / f"epoch {epoch}"), straight)


def test_a_row_that_death_cut_off_and_files_half_written_are_cleared_away(folder, tmp_path, straight):
    weights = tmp_path / "killed"
    run(folder, weights, stop_after=BATCHES_OF_AN_EPOCH + 1)
    with (weights / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"epoch":2,"split":"training","lo')
    (weights / ".last.pt.0123456789abcdef.tmp").write_bytes(b"half of a checkpoint")

    run(folder, weights)

    assert_same(results(weights), straight)
    assert not list(weights.glob(".*"))


def test_a_damaged_checkpoint_is_refused_with_what_to_do(folder, tmp_path):
    run(folder, tmp_path / "damaged", stop_after=4)
    last = WeightsFolder(tmp_path / "damaged").last
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)

    with pytest.raises(JobFailure, match=r"last\.pt cannot be read .* is damaged"):
        run(folder, tmp_path / "damaged")


def test_deaths_at_random_moments_cost_nothing(folder, tmp_path):
    run(folder, tmp_path / "straight", epochs=12)
    generator = random.Random(1)
    pauses = [str(generator.uniform(0, 30)) for _ in range(4)]

    command = [sys.executable, Path(__file__).with_name("killed_training.py"), folder, tmp_path / "killed", *pauses]
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{Path.cwd()}"}  # threads decide on sums too
    done = subprocess.run([str(part) for part in command], check=True, timeout=300, env=environment, stdout=-1)

    assert int(done.stdout) >= 3
    assert_same(results(tmp_path / "killed"), results(tmp_path / "straight"))
