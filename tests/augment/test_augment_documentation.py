from pathlib import Path

import pytest

from app.augment.parser import parse
from app.augment.signatures import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "augmentations.md").read_text()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_documented_with_its_parameters(name):
    paragraphs = [text for block in PAGE.split("\n\n") for text in (block.splitlines() if block[0] == "|" else [block])]
    about = [text for text in paragraphs if f"`{name}`" in text]
    assert about
    for parameter in OPERATIONS[name].parameters:
        assert any(f"`{parameter.name}`" in text for text in about), parameter.name


def test_the_example_of_the_page_is_a_text_that_is_accepted():
    assert len(parse(PAGE.split("```")[1]).children) == 3
