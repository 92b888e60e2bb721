"""Numbers of any depth as 8 bits."""

import numpy as np
import pytest

from app.datasets.formats.eight_bits import default_bits, stretch, value_range


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_window_is_linear_and_clips(dtype):
    values = np.array([[0, 100, 120, 200, 300]], dtype)
    assert stretch(values, 100, 200).tolist() == [[0, 0, 51, 255, 255]]


def test_empty_window_is_a_threshold():
    assert stretch(np.array([[1, 2, 3]]), 2, 2).tolist() == [[0, 0, 255]]


def test_what_is_no_number_is_black():
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    assert stretch(values, 0, 1).tolist() == [[0, 255, 0, 255]]
    assert value_range(values) == (1, 1)
    assert value_range(np.array([np.nan])) == (0, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([False, True]), [0, 255]),
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([0, 255, 256, 65535], np.uint16), [0, 0, 1, 255]),
        (np.array([-1000, 0, 1000], np.int16), [0, 128, 255]),
        (np.array([0, 2**32 - 1], np.uint32), [0, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0.25, 0.5], np.float32), [64, 128]),
        (np.array([-2, 0, 2], np.float64), [0, 128, 255]),
    ],
)
def test_type_decides_where_it_has_a_range(values, expected):
    assert default_bits(values).tolist() == expected


def test_given_numbers_are_not_changed():
    values = np.array([[1.0, 2.0]])
    stretch(values, 0, 1)
    assert values.tolist() == [[1, 2]]
