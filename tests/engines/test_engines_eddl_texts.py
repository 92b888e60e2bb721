"""What the EDDL engine hands over as text: it needs none of the libraries to be made."""

from pathlib import Path

import pytest
import yaml

from app.augment.parser import parse
from app.augment.signatures import OPERATIONS
from app.engines.eddl_engine.augmentation_text import ecvl_text, has_unheeded_chance, text_fault
from app.engines.eddl_engine.dataset_file import dataset_text
from app.settings import CLONE_FOLDER

CONTAINER = "SequentialAugmentationContainer\n    {}\nend\n"


@pytest.mark.parametrize(
    "text",
    [
        "AugFlip p=0.5",
        "AugRotate angle=[-5, 5] center=(0,0) interp=\"linear\"\n",
        CONTAINER.format("AugMirror p=0.5\n\n  AugBrightness beta=[ -3,3 ]"),
        "OneOfAugmentationContainer p=1\nAugSalt p=[0,0.1] per_channel=0\nend",
        "AugToFloat32 divisor=255",
    ],
)  # fmt: skip
def test_a_text_that_ecvl_reads_is_handed_over_unchanged(text):
    assert ecvl_text(text) == text


@pytest.mark.parametrize(
    ("text", "handed_over"),
    [
        ("AugFlip p=0.5 # upside down", "AugFlip p=0.5\n"),
        ("# nothing\nAugFlip p=0.5", "AugFlip p=0.5\n"),
        (CONTAINER.format("AugFlip p=1\r\n    AugMirror p=1"), CONTAINER.format("AugFlip p=1\n    AugMirror p=1")),
        (CONTAINER.format("AugFlip p=1 \n    AugMirror p=1"), CONTAINER.format("AugFlip p=1\n    AugMirror p=1")),
        (CONTAINER.format("AugSalt p=[0,1] per_channel=0,"), CONTAINER.format("AugSalt p=[0,1] per_channel=0")),
        ("AugToFloat32", "AugToFloat32 divisor=1\n"),
        ("AugRandomCrop size=(4,4)", 'AugRandomCrop border_type="constant" size=(4,4) border_value=0\n'),
        ("AugFlip\np=1", "AugFlip p=1\n"),
        ("AugToFloat32\n  divisor=255", "AugToFloat32 divisor=255\n"),
        ("\ufeffAugFlip p=1", "AugFlip p=1\n"),
        ("AugFlip\x85p=1", "AugFlip p=1\n"),
        (CONTAINER.format("AugFlip p=1 AugMirror p=1"), CONTAINER.format("AugFlip p=1\n    AugMirror p=1")),
        ("SequentialAugmentationContainer AugFlip p=1 end", CONTAINER.format("AugFlip p=1")),
        (CONTAINER.format("AugFlip p=1\n \n    AugMirror p=1"), CONTAINER.format("AugFlip p=1\n    AugMirror p=1")),
        (
            'AugOpticalDistortion distort_limit=[0,1] shift_limit=[2,3] border_type="constant"',
            'AugOpticalDistortion distort_limit=[0,1] shift_limit=[2,3] border_type="constant" border_value=0\n',
        ),
        (
            "OneOfAugmentationContainer\nAugFlip p=1\nend",
            "OneOfAugmentationContainer p=1\n    AugFlip p=1\nend\n",
        ),
    ],
)
def test_what_ecvl_would_refuse_or_die_of_is_written_canonically(text, handed_over):
    assert ecvl_text(text) == handed_over
    assert parse(handed_over).settings() == parse(text).settings()


@pytest.mark.parametrize(
    ("text", "handed_over"),
    [
        (
            'AugElasticTransform alpha=[1,2] sigma=[1,1] border_type="reflect101"',
            'AugElasticTransform alpha=[1,2] sigma=[1,1] border_type="reflect_101"\n',
        ),
        (
            'AugRandomCrop size=(4,4) border_type="reflect_101"',
            'AugRandomCrop border_type="reflect101" size=(4,4)\n',
        ),
        ("AugResizeDim dims=(4,5,3)", "AugResizeDim dims=(4,5)\n"),
    ],
)
def test_what_ecvl_spells_otherwise_is_written_so(text, handed_over):
    assert ecvl_text(text) == handed_over


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CONTAINER.format('AugRandomCrop size=(4,4) border_type="transparent"'), "AugRandomCrop has border_type"),
        ("AugAdditivePoissonNoise lambda=[0,0]", "no noise of lambda=[0,0]"),
        (CONTAINER.format("AugAdditiveLaplaceNoise std_dev=[0,0]"), "no noise of std_dev=[0,0]"),
    ],
)
def test_what_ecvl_cannot_apply_is_told(text, words):
    assert words in text_fault(text)


def test_what_ecvl_applies_is_no_fault():
    assert text_fault("") is None
    assert text_fault("AugAdditivePoissonNoise lambda=[0,3]") is None


def test_every_example_of_the_catalogue_is_taken():
    for signature in OPERATIONS.values():
        if not signature.is_container:
            assert ecvl_text(CONTAINER.format(signature.example))


def test_a_chance_that_ecvl_would_overlook_is_seen():
    assert has_unheeded_chance(parse(CONTAINER.format("OneOfAugmentationContainer p=0.5\nAugFlip p=1\nend")))
    assert not has_unheeded_chance(parse("OneOfAugmentationContainer p=1\nAugFlip p=1\nend"))
    assert not has_unheeded_chance(parse("AugFlip p=0.5"))


def test_the_dataset_file_of_a_split_has_absolute_places_and_numbers_for_classes():
    paths = [Path("here/a b.png"), Path('/data/"q"/ü.png')]

    text = dataset_text(paths, ("7", "yes"), [(1,), (0, 1)])

    assert yaml.safe_load(text) == {
        "name": "split",
        "classes": ["7", "yes"],
        "images": [
            {"location": str(Path.cwd() / "here/a b.png"), "label": [1]},
            {"location": '/data/"q"/ü.png', "label": [0, 1]},
        ],
        "split": {"test": [0, 1]},
    }
    assert "ü" in text


def test_a_split_without_labels_says_nothing_of_classes():
    assert yaml.safe_load(dataset_text([Path("/a.png")], ("a",))) == {
        "name": "split",
        "images": [{"location": "/a.png"}],
        "split": {"test": [0]},
    }


def test_the_shipped_example_texts_are_taken():
    for path in sorted((CLONE_FOLDER / "docs" / "augmentations").glob("*.txt")):
        assert ecvl_text(path.read_text("utf-8"))
