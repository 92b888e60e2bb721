"""The time that is left, told for trainings whose every part takes a known time."""

import pytest

from app.training.pace import FIRST_GUESS, SAVE_SECONDS, Pace
from app.training.position import TRAINING, VALIDATION, Position

FIRST_BATCH_SECONDS = 3.0
BATCH = 10
PARAMETERS = 10**9


def run(epochs, counts, seconds, between):
    """Return the time since the beginning and the time left that is told, after each batch of a run."""
    pace, position, now, told = Pace(counts, epochs, PARAMETERS), Position(), 0.0, []
    for epoch in range(1, epochs + 1):
        for split, count in counts.items():
            position.begin(epoch, split)
            for start in range(0, count, BATCH):
                samples = min(BATCH, count - start)
                took = samples * seconds[split] + (0 if told else FIRST_BATCH_SECONDS)
                now += took
                pace.add(split, samples, took)
                position.samples += samples
                told.append((now, pace.eta_seconds(position)))
        position.begin(epoch + 1, TRAINING)
        now += between
        pace.add_between(between)
    return [*told, (now, 0.0)]


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("validation", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("between", [0.3, 1.0, 2.0])
def test_the_time_left_is_within_a_quarter_after_a_fifth_of_the_run(epochs, validation, between):
    """However many epochs there are, whatever validating costs, and where saving takes other times than expected."""
    counts, seconds = {TRAINING: 205, VALIDATION: 50}, {TRAINING: 1.0, VALIDATION: validation}
    told = run(epochs, counts, seconds, between * PARAMETERS * SAVE_SECONDS)
    total = told[-1][0]

    now, eta = next(pair for pair in told if pair[0] >= total / 5)
    assert eta == pytest.approx(total - now, rel=0.25)
    if epochs > 1:
        first_epoch = total / epochs + FIRST_BATCH_SECONDS
        for now, eta in [pair for pair in told if pair[0] > first_epoch]:
            assert eta == pytest.approx(total - now, rel=0.05), now


def test_the_newest_epoch_counts_where_a_run_becomes_faster():
    pace, position = Pace({TRAINING: 100}, 10, parameter_count=0), Position()
    for epoch in range(1, 6):
        position.begin(epoch, TRAINING)
        for _ in range(10):
            pace.add(TRAINING, 10, 20.0 if epoch == 1 else 5.0)
            position.samples += 10

    assert pace.eta_seconds(position) == pytest.approx(5 * 50, rel=0.1)


def test_the_fraction_counts_the_samples_of_both_splits():
    pace, position = Pace({TRAINING: 30, VALIDATION: 10}, 2, parameter_count=0), Position()
    position.begin(1, VALIDATION)
    position.samples = 5

    assert pace.fraction(position) == pytest.approx(35 / 80)


def test_a_run_that_goes_on_inside_a_validation_has_a_guess():
    pace, position = Pace({TRAINING: 100, VALIDATION: 10}, 2, parameter_count=0), Position()
    position.begin(1, VALIDATION)
    position.samples = 5
    pace.add(VALIDATION, 5, 2.0)

    assert pace.eta_seconds(position) == pytest.approx(15 * 0.4 + 100 * 0.4 / FIRST_GUESS)


def test_without_a_validation_split():
    pace, position = Pace({TRAINING: 100}, 2, parameter_count=0), Position()
    position.begin(1, TRAINING)
    position.samples = 50
    pace.add(TRAINING, 25, 30.0)
    pace.add(TRAINING, 25, 25.0)

    assert pace.eta_seconds(position) == pytest.approx(150)
