import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files import JSON_FORM
from app.repositories.content import Content, Version

VERSION = Version((1, 2, 3, 4), is_settled=True)
TEXTS = st.sampled_from(["a", "2", '\n    "2": {', "\n    }", "\n  }", '"projects": {', "{}"])
VALUES = st.one_of(TEXTS, st.lists(TEXTS, max_size=2), st.dictionaries(TEXTS, st.lists(TEXTS, max_size=1), max_size=2))
RECORDS = st.dictionaries(st.integers(1, 12).map(str), st.dictionaries(TEXTS, VALUES, max_size=2), max_size=4)


@given(tables=st.dictionaries(st.sampled_from(["projects", "assigned_ids", "x"]), RECORDS))
def test_each_record_is_what_parsing_the_whole_gives(tables):
    content = Content(orjson.dumps(tables, option=JSON_FORM), "projects", VERSION)
    for record_id in range(14):
        assert content.record(record_id) == tables.get("projects", {}).get(str(record_id))


@pytest.mark.parametrize("layout", [{"indent": 7}, {"separators": (",", ":")}, {"sort_keys": True}])
def test_a_file_that_an_editor_laid_out_anew_is_read_all_the_same(repository, first_file, layout):
    for name in ("a", 'b\n    "1": {'):
        repository.add({"name": name, "classes": ["x", {"y": 1}]})
    before = repository.all()
    first_file.write_text(json.dumps(json.loads(first_file.read_text()), **layout))
    assert repository.all() == before == [repository.get(1), repository.get(2)]
