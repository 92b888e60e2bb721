"""Noise level by level: how often each one is drawn, against the distribution's own formula."""

from math import exp, factorial

import numpy as np
import pytest

from app.augment.parser import parse
from app.augment.pipeline import Pipeline

GREY = np.full((500, 400, 3), 100, np.uint8)


def shares(text, image=GREY):
    result, _ = Pipeline(parse(text))(image, None, np.random.default_rng(0))
    return np.bincount(result.ravel(), minlength=256) / result.size


def laplace_share(level, scale):
    """Probability that Laplace noise lies between a level and the next one."""
    ends = [exp(-abs(end) / scale) / 2 for end in (level, level + 1)]
    return ends[1] - ends[0] if level < 0 else ends[0] - ends[1]


def assert_as_likely(measured, expected):
    sampling_error = np.sqrt(np.array(expected) / GREY.size)
    assert (np.abs(measured - expected) < 5 * sampling_error + 2 / 65536).all()


@pytest.mark.parametrize("mean", [0.3, 3, 40])
def test_poisson_noise_adds_each_count_as_often_as_it_should(mean):
    expected = [mean**count * exp(-mean) / factorial(count) for count in range(80)]
    assert_as_likely(shares(f"AugAdditivePoissonNoise lambda=[{mean},{mean}]")[100:180], expected)


@pytest.mark.parametrize("scale", [0.5, 5, 30])
def test_laplace_noise_is_cut_to_whole_levels_below(scale):
    measured = shares(f"AugAdditiveLaplaceNoise std_dev=[{scale},{scale}]")
    expected = [laplace_share(level, scale) for level in range(-99, 155)]
    assert_as_likely(measured[1:255], expected)
    # What would lie below 0 is 0, and what would lie above 255 is 255.
    assert measured[0] == pytest.approx(exp(-99 / scale) / 2, abs=2e-3)
    assert measured[255] == pytest.approx(exp(-155 / scale) / 2, abs=2e-3)


@pytest.mark.parametrize(
    "text", ["AugAdditivePoissonNoise lambda=[65535,65535]", "AugAdditivePoissonNoise lambda=[400,400]"]
)
def test_more_noise_than_a_byte_holds_is_white(text):
    assert shares(text)[255] == 1


@pytest.mark.parametrize("scale", ["1e-320", "1e-9", "65535"])
def test_the_least_and_the_most_laplace_noise(scale):
    measured = shares(f"AugAdditiveLaplaceNoise std_dev=[{scale},{scale}]")
    if scale == "65535":
        np.testing.assert_allclose(measured[[0, 255]], 0.5, atol=0.01)
    else:
        assert measured[99] + measured[100] == 1
