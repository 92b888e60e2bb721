from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from app.forms import fault_in


class Inner(TypedDict):
    word: Literal["yes", "no"]


class Outer(TypedDict):
    name: str
    inners: list[Inner]
    counts: NotRequired[dict[int, int]]


@dataclass
class Point:
    x: float
    name: str = ""
    places: tuple[int, ...] = ()


class Other(TypedDict):
    other: int


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (int, 3),
        (float, 3),
        (float, 0.5),
        (bool, True),
        (None, None),
        (Any, object),
        (str | None, None),
        (list[int], []),
        (datetime, "2026-11-30T12:00:00+00:00"),
        (dict[int, str], {"7": "a"}),
        (Outer, {"name": "a", "inners": [{"word": "no"}], "counts": {"1": 2}, "of a later version": [None]}),
        (Point, {"x": 1, "places": [1, 2]}),
        (Outer | Other, {"other": 1}),
    ],
)
def test_a_value_of_the_form_has_no_fault(form, value):
    assert fault_in(value, form) is None


@pytest.mark.parametrize(
    ("form", "value", "fault"),
    [
        (int, True, "a whole number is expected"),
        (int, 1.0, "a whole number is expected"),
        (float, True, "a number is expected"),
        (bool, 1, "true or false is expected"),
        (str, None, "a text is expected"),
        (int | None, "1", "a whole number or null is expected"),
        (list[int], {}, "a list is expected"),
        (list[int], [1, "2"], "at [1] a whole number is expected"),
        (datetime, "2026-11-30T12:00:00", "a time such as 2026-11-30T12:00:00+00:00 is expected"),
        (datetime, "noon", "a time such as 2026-11-30T12:00:00+00:00 is expected"),
        (dict[int, str], {"a": "b"}, "at a a whole number as the key is expected"),
        (dict[str, int], [], "an object is expected"),
        (Outer, [], "an object is expected"),
        (Outer, {"inners": []}, "at name a value is expected"),
        (Outer, {"name": "a", "inners": [{"word": "yes"}, {"word": "maybe"}]}, "at inners[1].word one of 'yes', 'no'"),
        (Outer, {"name": "a", "inners": [{"word": []}]}, "at inners[0].word one of 'yes', 'no' is expected"),
        (Outer, {"name": "a", "inners": [], "counts": {"1": None}}, "at counts.1 a whole number is expected"),
        (Point, {"name": "a"}, "at x a value is expected"),
        (Point, {"x": 1, "places": [None]}, "at places[0] a whole number is expected"),
        (Outer | Other, {"other": "1"}, "at name a value is expected"),
    ],
)
def test_a_fault_is_told_with_its_place(form, value, fault):
    assert fault_in(value, form).startswith(fault)


def test_a_type_that_is_no_form_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="is no form"):
        fault_in({}, set)
