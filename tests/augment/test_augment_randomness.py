"""The generators: one per sample, cheap, and as random as NumPy's own."""

import numpy as np
import pytest

from app.augment.randomness import pixel_generator, sample_generator


def test_the_same_numbers_give_the_same_draws():
    first, again = sample_generator(7, 2, 41), sample_generator(7, 2, 41)
    np.testing.assert_array_equal(first.random(100), again.random(100))
    np.testing.assert_array_equal(pixel_generator(2**64 - 1).random(9), pixel_generator(2**64 - 1).random(9))


def test_every_other_number_gives_other_draws():
    places = [(seed, epoch, index) for seed in (0, 1, 11, 2**70) for epoch in (1, 11) for index in range(200)]
    firsts = {sample_generator(*place).random() for place in places}
    assert len(firsts) == len(places)
    assert len({pixel_generator(seed).random() for seed in range(1000)}) == 1000


@pytest.mark.parametrize("generator", [lambda i: sample_generator(3, 1, i), pixel_generator])
def test_neighbouring_generators_are_independent(generator):
    draws = np.array([generator(index).random(4) for index in range(4000)])
    histograms = [np.histogram(column, 20, (0, 1))[0] for column in draws.T]
    # Each histogram deviates by a chi-squared variable of 19 degrees of freedom: above 52 once in 20,000.
    assert max(((histogram - 200) ** 2 / 200).sum() for histogram in histograms) < 52
    table = np.corrcoef(np.column_stack([draws, np.roll(draws, 1, axis=0)]).T)
    assert np.abs(table - np.eye(8)).max() < 4.5 / np.sqrt(4000)
