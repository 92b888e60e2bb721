"""The page of the language: written from the catalogue, with a picture of every operation."""

import importlib.util

import pytest
from PIL import Image

from app.augment.parser import parse
from app.augment.signatures import OPERATIONS
from app.settings import CLONE_FOLDER

spec = importlib.util.spec_from_file_location("augmentation_page", CLONE_FOLDER / "scripts" / "augmentation_page.py")
augmentation_page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(augmentation_page)

PAGE = augmentation_page.PAGE.read_text("utf-8")
LARGEST_PICTURE_BYTES = 60_000


def test_the_page_says_what_the_catalogue_says():
    assert augmentation_page.with_section(PAGE) == PAGE, "run `make docs`"


@pytest.mark.parametrize("signature", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_has_a_chapter_with_its_parameters_and_a_picture(signature):
    chapter = PAGE.split(f"### {signature.name}\n")[1].split("###")[0]

    assert signature.example in chapter
    for parameter in signature.parameters:
        assert f"| `{parameter.name}` |" in chapter and parameter.summary in chapter
    path = augmentation_page.PICTURES / f"{signature.name}.png"
    assert f"(augmentations/{path.name})" in chapter
    assert path.stat().st_size < LARGEST_PICTURE_BYTES
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.width > 4 * augmentation_page.SIDE_PX


def test_there_are_no_pictures_of_what_is_gone():
    assert {path.stem for path in augmentation_page.PICTURES.iterdir()} == set(OPERATIONS)


@pytest.mark.parametrize("signature", OPERATIONS.values(), ids=OPERATIONS)
def test_every_example_uses_its_operation(signature):
    assert parse(signature.example).name == signature.name


def test_the_example_of_the_page_is_a_text_that_is_accepted():
    assert len(parse(PAGE.split("```")[1]).children) == 3
