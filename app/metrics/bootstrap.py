"""Percentile intervals by the bootstrap: the samples of a split are drawn again, with replacement, many times.

Source: Efron, Bootstrap Methods: Another Look at the Jackknife, 1979.
"""

from collections.abc import Iterator

import numpy as np

RESAMPLES = 1000
FEWEST_RESAMPLES = 200
MOST_WEIGHED_VALUES = 200_000_000
PERCENTILES = (2.5, 97.5)
SEED = 0


def resample_count(samples: int, classes: int) -> int:
    """Return how many resamples a split gets: 1,000, and fewer, but 200, where these would take minutes."""
    return max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_WEIGHED_VALUES // max(1, samples * classes)))


def resamples(samples: int, count: int) -> Iterator[np.ndarray]:
    """Yield `count` resamples as how often each sample was drawn: `(samples,)` float64 of sum `samples`.

    They are the same whenever they are asked for.
    """
    generator = np.random.default_rng(SEED)
    for _ in range(count):
        yield np.bincount(generator.integers(samples, size=samples), minlength=samples).astype(np.float64)


def intervals(values: np.ndarray) -> np.ndarray:
    """Return lower and upper bound, `(2, ...)`, of statistics of the resamples, `(resamples, ...)`.

    A statistic that a resample lacks (NaN, as of a class that was not drawn) is left out; one that all lack is NaN.
    """
    lacking = np.isnan(values).all(axis=0)
    bounds = np.nanpercentile(np.where(lacking, 0.0, values), PERCENTILES, axis=0)
    return np.where(lacking, np.nan, bounds)


def shown(number: float) -> float | None:
    """Return a number for JSON, which knows no NaN: None."""
    return None if np.isnan(number) else float(number)


def shown_bounds(bounds: np.ndarray) -> list[float | None]:
    """Return lower and upper bound for JSON."""
    return [shown(bound) for bound in bounds]
