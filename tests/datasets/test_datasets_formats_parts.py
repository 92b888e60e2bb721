"""Which part of a file is meant, and what its keys may be."""

from pathlib import Path

import pytest

from app.datasets.formats.kinds import load_library, source_of
from app.datasets.formats.parts import Part
from app.errors import JobFailure

SCAN = Path("scan.nii.gz")


def test_numbers_are_read_by_key():
    part = Part(SCAN, "#slice=12&low=-160&high=240.5", ("slice", "low", "high"))
    assert part.index("slice", 13) == 12
    assert part.window() == (-160, 240.5)
    assert "slice" in part and "axis" not in part
    assert part.whole("axis", 2) == 2


def test_without_a_text_nothing_is_named():
    part = Part(SCAN, "", ("slice",))
    assert part.window() is None
    assert part.index("slice", 5, default=0) == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("#slcie=1", "has no 'slcie'; did you mean 'slice'?"),
        ("#slice=1&slice=2", "gives 'slice' twice; keep one of the two."),
        ("#slice=x", "has the slice 'x'; a number is expected."),
        ("#slice=nan", "has the slice 'nan'; a number is expected."),
        ("#slice=", "has the slice ''; a number is expected."),
        ("#slice=1.5", "has the slice 1.5; a whole number is expected."),
        ("#slice=3", "has no slice 3: there are 3, counted from 0."),
        ("#slice=-1", "has no slice -1: there are 3, counted from 0."),
        ("#low=1", "gives one end of a window; both are expected: #low=-160&high=240."),
        ("#low=5&high=5", "has a window from 5 to 5; low has to be below high."),
        ("#axis=1", "does not say its slice; write #slice=0 behind the file's name."),
    ],
)
def test_each_mistake_is_one_sentence_that_names_the_place(text, sentence):
    with pytest.raises(JobFailure) as caught:
        part = Part(SCAN, text, ("slice", "axis", "low", "high"))
        part.window()
        part.index("slice", 3)
    assert caught.value.message == f"The image 'scan.nii.gz{text}' {sentence}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "plain"),
        ("a.JPG", "plain"),
        ("a.tif", "tiff"),
        ("a.TIFF#page=3", "tiff"),
        ("a.tif#level=1", "slide"),
        ("a.tif#x=0&y=0&width=5&height=5", "slide"),
        ("a.svs", "slide"),
        ("a.dcm#frame=2", "dicom"),
        ("a.nii", "nifti"),
        ("a.hdr#slice=1", "nifti"),
        ("a.b.nii.gz#slice=3", "nifti"),
        ("IM0001", "plain"),
    ],
)
def test_name_tells_the_kind(name, kind):
    assert source_of(Path(name)).kind_name == kind


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113619", "IM0001.img", "slice.mr"])
def test_content_tells_what_the_name_does_not(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    assert source_of(tmp_path / name).kind_name == "dicom"


def test_part_that_the_kind_does_not_have_is_refused():
    with pytest.raises(JobFailure, match=r"a\.png#page=1' has no 'page'; there are: low, high"):
        source_of(Path("a.png#page=1"))


@pytest.mark.parametrize(("name", "extra"), [("pydicom", "dicom"), ("nibabel", "nifti"), ("openslide", "slides")])
def test_absent_library_names_its_extra(monkeypatch, name, extra):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(JobFailure) as caught:
        load_library(name, extra)
    assert f'{name}, which is not installed: pip install "deephealth-backend[{extra}]".' in caught.value.message
