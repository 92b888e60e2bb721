"""What the values of a dataset's masks mean: the same in each of them."""

import pytest

from app.datasets.masks import MaskRule, find_rule, told
from app.errors import JobFailure

SHADES = list(range(256))


def mapped(values, class_count):
    rule, wrong = find_rule(values, class_count)
    assert not wrong and MaskRule.from_dict(rule.to_dict()) == rule
    return {value: rule.class_of(value) for value in values}


@pytest.mark.parametrize("class_count", [0, 1, 2])
@pytest.mark.parametrize(
    ("values", "mapping"),
    [
        ([], {}),
        ([0], {0: 0}),
        ([1], {1: 1}),
        ([0, 1], {0: 0, 1: 1}),
        ([0, 77], {0: 0, 77: 1}),
        ([0, 1, 255], {0: 0, 1: 1, 255: 1}),
        ([0, 1, 65535], {0: 0, 1: 1, 65535: 1}),
        ([0, 255, 65535], {0: 0, 255: 1, 65535: 1}),
        ([0, 1, 255, 65535], {0: 0, 1: 1, 255: 1, 65535: 1}),
        ([0, 60, 127, 128, 255], {0: 0, 60: 0, 127: 0, 128: 1, 255: 1}),
        ([0, 30, 60], {0: 0, 30: 0, 60: 1}),
        ([0, 300, 40000, 65535], {0: 0, 300: 0, 40000: 1, 65535: 1}),
    ],
)
def test_masks_of_black_and_white(values, mapping, class_count):
    assert mapped(values, class_count) == mapping


@pytest.mark.parametrize(
    ("values", "class_count", "mapping"),
    [
        ([0, 2], 3, {0: 0, 2: 2}),
        ([0, 127, 255], 3, {0: 0, 127: 1, 255: 2}),
        ([128, 255], 3, {128: 1, 255: 2}),
        ([0, 85, 170, 255], 4, {0: 0, 85: 1, 170: 2, 255: 3}),
        ([63, 191], 5, {63: 1, 191: 3}),
        ([255], 256, {255: 255}),
    ],
)
def test_masks_of_several_classes(values, class_count, mapping):
    assert mapped(values, class_count) == mapping


@pytest.mark.parametrize(
    ("values", "class_count", "wrong"),
    [
        ([0, 1, 2], 2, [2]),
        ([0, 1, 3], 1, [3]),
        ([0, 3], 3, [3]),
        ([0, 127, 200, 255], 3, [127, 200, 255]),
        ([-1, 0], 3, [-1]),
        ([-5, 0], 2, [-5]),
        ([0, 1, 99], 80, [99]),
    ],
)
def test_values_that_are_no_class(values, class_count, wrong):
    assert find_rule(values, class_count)[1] == wrong


@pytest.mark.parametrize(
    ("values", "class_count", "sentence"),
    [
        ([0, 255], 1, None),
        ([0, 1, 2], 3, None),
        ([0, 1, 255], 1, "Some masks hold 0 and 1, others 0 and 255: 1 and 255 are all 'cell'."),
        (
            SHADES,
            1,
            "The masks hold 256 values from 0 to 255, as smoothed edges do: those up to 127 are 'background', ",
        ),
    ],
)
def test_what_a_person_has_to_know(values, class_count, sentence):
    said = told(find_rule(values, class_count)[0], values, ["background", "cell"])
    assert (said or "").startswith(sentence or "") and (said is None) == (sentence is None)


def test_a_value_that_turns_up_later_is_named():
    with pytest.raises(JobFailure, match="holds the value 9; the dataset's masks have the values 0, 255"):
        find_rule([0, 255], 1)[0].class_of(9)
