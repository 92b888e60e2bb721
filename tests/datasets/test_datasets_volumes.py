"""Volumes that a description names as a whole become their slices."""

import struct

import nibabel
import numpy as np
import pytest

from app.datasets.description import Sample
from app.datasets.images import read_image, read_mask_values
from app.datasets.places import resolve
from app.datasets.volumes import with_slices
from app.datasets.yaml_format.reading import read
from app.datasets.yaml_format.writing import write
from app.errors import DatasetError, TooLarge


@pytest.fixture
def folder(tmp_path):
    """A folder with volumes of 4 x 3 voxels whose slices hold their own number."""
    for name, depth in {"a.nii": 3, "a-mask.nii.gz": 3, "b.nii.gz": 2, "b-mask.nii": 2, "flat.nii": 1}.items():
        write_volume(tmp_path / name, np.broadcast_to(np.arange(depth, dtype=np.uint8), (4, 3, depth)))
    write_volume(tmp_path / "four.nii", np.zeros((4, 3, 2, 5), np.uint8))
    return tmp_path


def write_volume(path, voxels):
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels), np.eye(4)), path)


def cut(folder, text):
    return with_slices(read(text.encode(), "lab.yml"), folder, "lab.yml")


def faults_of(folder, text):
    with pytest.raises(DatasetError) as caught:
        cut(folder, text)
    return [str(problem) for problem in caught.value.problems]


PAIRS = """
features: [scanner, note]
images:
  - {location: a.nii, label: a-mask.nii.gz, values: [one]}
  - {location: b.nii.gz, label: b-mask.nii}
split: {training: [1], test: [0]}
"""


def test_pairs_become_the_slices_of_both_in_the_same_split(folder):
    description = cut(folder, PAIRS)
    assert description.features == ("scanner", "note", "volume")
    assert description.splits == {"training": (3, 4), "test": (0, 1, 2)}
    expected = [Sample((f"a.nii#slice={k}",), None, f"a-mask.nii.gz#slice={k}") for k in range(3)]
    expected += [Sample((f"b.nii.gz#slice={k}",), None, f"b-mask.nii#slice={k}") for k in range(2)]
    assert [Sample(sample.location, None, sample.mask) for sample in description.samples] == expected
    assert description.samples[2].values == {"scanner": "one", "volume": "a.nii"}
    assert description.samples[3].values == {"volume": "b.nii.gz"}
    for index, sample in enumerate(description.samples[:3]):
        assert read_mask_values(resolve(sample.mask, folder), max_pixels=100).tolist() == [[index] * 4] * 3


def test_what_was_cut_can_be_written_and_is_not_cut_again(folder):
    description = cut(folder, PAIRS)
    again = read(write(description).encode(), "written.yml")
    assert again == description
    assert with_slices(again, folder, "written.yml") is again


def test_axis_and_window_hold_for_every_slice(folder):
    description = cut(folder, "images: [a.nii#axis=0&low=0&high=2]")
    assert [sample.location for sample in description.samples] == [
        (f"a.nii#axis=0&low=0&high=2&slice={index}",) for index in range(4)
    ]
    assert read_image([folder / description.samples[3].location[0]], 1, max_pixels=100)[..., 0].tolist() == [
        [0] * 3,
        [128] * 3,
        [255] * 3,
    ]


def test_one_of_several_volumes_in_a_file_is_cut(folder):
    description = cut(folder, "images: [four.nii#volume=4]")
    assert [sample.location for sample in description.samples] == [(f"four.nii#volume=4&slice={k}",) for k in range(2)]


def test_volumes_as_planes_are_cut_together(folder):
    [first, second] = cut(folder, "images: [{location: [b.nii.gz, b-mask.nii], label: b-mask.nii}]").samples
    assert first.location == ("b.nii.gz#slice=0", "b-mask.nii#slice=0")
    assert second.mask == "b-mask.nii#slice=1"


def test_planes_with_a_volume_as_mask_are_the_slices_of_one_scan(folder):
    text = "images: [{location: [I10.dcm, I20.dcm, I30.dcm], label: a-mask.nii.gz}]"
    samples = cut(folder, text).samples
    assert [(sample.location, sample.mask) for sample in samples] == [
        (("I10.dcm",), "a-mask.nii.gz#slice=0"),
        (("I20.dcm",), "a-mask.nii.gz#slice=1"),
        (("I30.dcm",), "a-mask.nii.gz#slice=2"),
    ]
    assert {sample.values["volume"] for sample in samples} == {"I10.dcm"}


def test_slices_share_the_class_of_their_volume(folder):
    samples = cut(folder, "classes: [ill, well]\nimages: [{location: b.nii.gz, label: well}]").samples
    assert [sample.classes for sample in samples] == [(1,), (1,)]


@pytest.mark.parametrize(
    "images",
    [
        "[flat.nii, a.png, [a.png, b.png]]",
        "[a.nii#slice=1, {location: b.png, label: a-mask.nii.gz#slice=0}]",
        "[https://lab.example/a.nii]",
        "[{location: [a.png, b.png], label: m.png}]",
    ],
)
def test_what_names_no_whole_volume_is_left_as_it_is(folder, images):
    description = read(f"images: {images}".encode(), "lab.yml")
    assert with_slices(description, folder, "lab.yml") is description


def test_beside_a_url_nothing_is_looked_for():
    description = read(b"images: [a.nii]", "lab.yml")
    assert with_slices(description, "https://lab.example/lab.yml", "lab.yml") is description


def test_a_feature_of_the_same_name_is_kept(folder):
    description = cut(folder, "features: [volume]\nimages: [{location: b.nii.gz, values: [7]}]")
    assert description.samples[0].values == {"volume": 7, "volume file": "b.nii.gz"}


def test_all_that_does_not_fit_is_told_at_once(folder):
    (folder / "empty.nii").touch()
    text = """
images:
  - {location: a.nii, label: b-mask.nii}
  - {location: [a.nii, b.nii.gz]}
  - {location: [x.png, y.png], label: a-mask.nii.gz}
  - {location: z.png, label: a-mask.nii.gz}
  - four.nii
  - empty.nii
  - a.nii#axis=7
  - b.nii.gz
  - b.nii.gz#slice=1
"""
    faults = faults_of(folder, text)
    said = [
        "'a.nii' has 3 slices and its mask 'b-mask.nii' 2 slices; a mask has a slice for each of its volume's.",
        "'a.nii' has 3 slices and its plane 'b.nii.gz' 2 slices; planes are cut alike.",
        "the stack that begins with 'x.png' has 2 slices and its mask 'a-mask.nii.gz' 3 slices",
        "'z.png' has 1 slice and its mask 'a-mask.nii.gz' 3 slices",
        "'four.nii' holds 5 volumes",
        "'empty.nii' cannot be read as a NIfTI file",
        "has no axis 7",
    ]
    assert len(faults) == 8
    for index, sentence in enumerate(said):
        assert faults[index].startswith(f"line {index + 3}: images[{index}] cannot be used: ")
        assert sentence in faults[index]
    assert faults[7] == "line 11: images[8] shows 'b.nii.gz#slice=1', as images[7] does; each slice stands once."


def test_what_is_in_no_split_may_be_broken(folder):
    description = cut(folder, "images: [a.nii, gone.nii, four.nii]\nsplit: {test: [0]}")
    assert description.splits == {"test": (0, 1, 2)}
    assert [sample.location for sample in description.samples[3:]] == [("gone.nii",), ("four.nii",)]


@pytest.mark.parametrize("depth", [100_001, 2**62])
def test_a_header_that_promises_too_many_slices_is_refused(folder, depth):
    header = bytearray(540)
    struct.pack_into("<i", header, 0, 540)
    struct.pack_into("<8q", header, 16, 3, 4, 3, depth, 1, 1, 1, 1)
    (folder / "huge.nii").write_bytes(header)
    with pytest.raises(TooLarge, match=r"'huge\.nii' has .* slices, more than the 100,000"):
        cut(folder, "images: [huge.nii]")
