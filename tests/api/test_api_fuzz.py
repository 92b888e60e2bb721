"""The short form of `make fuzz`."""

from fuzz import fuzz


def test_schemathesis_finds_nothing(tmp_path):
    assert fuzz(tmp_path, max_examples=5) == 0
