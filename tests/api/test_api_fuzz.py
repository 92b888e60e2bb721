"""The short form of `make fuzz`, with the same requests each time: others are for `make fuzz` to find."""

import pytest
from fuzz import fuzz


@pytest.mark.timeout(1200)  # a minute of work, for which a busy machine takes many
def test_schemathesis_finds_nothing(tmp_path):
    assert fuzz(tmp_path, max_examples=5, seed=6) == 0
