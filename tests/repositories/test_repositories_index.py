from array import array

from hypothesis import given
from hypothesis import strategies as st

from app.repositories.index import NO_ROWS, Index

VALUES = st.sampled_from([None, 1, 2, "a", ["a"], {"b": 1}])
RECORDS = st.dictionaries(st.integers(1, 12), st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES}))


@given(states=st.lists(RECORDS, min_size=1, max_size=4), x=VALUES, y=VALUES)
def test_it_finds_what_a_look_at_each_record_finds(states, x, y):
    index = Index([("x",), ("y", "x")])
    before = NO_ROWS
    for records in states:
        rows = index.rows(records)
        index.replace(before, rows)
        before = rows
    last = states[-1]
    for equals in ({}, {"x": x}, {"x": x, "y": y}):
        matching = [i for i in sorted(last) if all(last[i].get(name) == value for name, value in equals.items())]
        assert index.find(equals) == (array("q", matching), True)


def test_without_a_group_for_it_the_fewest_that_may_match_are_found():
    index = Index([("x",)])
    index.replace(NO_ROWS, index.rows({1: {"x": 1, "z": 1}, 2: {"x": 2, "z": 1}, 3: {"x": 1, "z": 2}}))
    assert index.find({"x": 1, "z": 1}) == (array("q", [1, 3]), False)
    assert index.find({"z": 1}) == (array("q", [1, 2, 3]), False)
