"""Slices of NIfTI volumes, those that nibabel ships and some made here, as 8-bit images."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mask_reading import read_mask

from app.datasets import images
from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput, JobFailure

nibabel = pytest.importorskip("nibabel")

SHIPPED = Path(nibabel.__file__).parent / "tests" / "data"
read_image = partial(images.read_image, max_pixels=1_000_000)


@pytest.fixture
def made(tmp_path):
    def write(voxels, name="scan.nii.gz", **header):
        volume = nibabel.Nifti1Image(voxels, np.eye(4))
        for key, value in header.items():
            volume.header[key] = value
        nibabel.save(volume, tmp_path / name)
        return tmp_path / name

    return write


def part(path, text):
    return path.with_name(path.name + text)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_columns_run_along_the_first_axis_of_the_slice_and_rows_along_the_second(made, name, axis):
    voxels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    place = part(made(voxels, name), f"#slice=1&axis={axis}")
    expected = voxels.take(1, axis=axis).T
    assert (read_image([place], 1)[..., 0] == expected).all()
    assert probe(place) == ImageHeader(expected.shape[1], expected.shape[0], 1, 8)


@pytest.mark.parametrize("name", ["scan.hdr", "scan.img"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_pair_of_files_is_named_by_either(tmp_path, name, order):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    header = nibabel.nifti1.Nifti1PairHeader(endianness=order)
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4), header), tmp_path / name)
    expected = np.rint(voxels[..., 1].T * 255 / 23)
    assert (read_image([tmp_path / f"{name}#slice=1"], 1)[..., 0] == expected).all()
    (tmp_path / "scan.img").unlink()
    with pytest.raises(JobFailure, match="scan"):
        read_image([tmp_path / f"{name}#slice=1"], 1)


def test_slices_of_a_volume_share_its_range(made):
    voxels = np.int16([[[-100, 0], [0, 100]]])
    path = made(voxels)
    assert read_image([part(path, "#slice=0")], 1).ravel().tolist() == [0, 128]
    assert read_image([part(path, "#slice=1")], 1).ravel().tolist() == [128, 255]


def test_changed_volume_has_its_own_range(made):
    path = made(np.int16([[[0, 10]]]))
    assert read_image([part(path, "#slice=1")], 1).item() == 255
    made(np.int16([[[0, 10], [0, 20]]]))
    assert read_image([part(path, "#slice=1")], 1).ravel().tolist() == [128, 255]


def test_display_range_of_the_header_is_the_window(made):
    path = made(np.int16([[[0, 100, 400]]]), cal_min=0, cal_max=200)
    assert [read_image([part(path, f"#slice={index}")], 1).item() for index in range(3)] == [0, 128, 255]


def test_named_window_goes_before_all(made):
    path = made(np.int16([[[-1000, 40, 400]]]), cal_min=0, cal_max=200)
    values = [read_image([part(path, f"#slice={index}&low=-160&high=240")], 1).item() for index in range(3)]
    assert values == [0, 128, 255]


def test_scaling_of_the_header_is_applied(made):
    voxels = np.int16([[[0, 10]]])
    path = made(voxels)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:120] = np.float32([2, -10]).tobytes()
    path.write_bytes(gzip.compress(content))
    assert read_image([part(path, "#slice=1&low=-10&high=30")], 1).item() == 128


def test_slices_are_planes_of_an_image(made):
    voxels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = made(voxels)
    image = read_image([part(path, f"#slice={index}") for index in (3, 0, 1)], 3)
    assert (image == voxels[..., [3, 0, 1]].transpose(1, 0, 2)).all()


def test_volume_of_several_is_named(made):
    voxels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    path = made(voxels)
    assert (read_image([part(path, "#slice=2&volume=4")], 1)[..., 0] == voxels[:, :, 2, 4].T).all()
    with pytest.raises(JobFailure, match=r"holds 5 volumes; name one: #volume=0 to #volume=4"):
        read_image([part(path, "#slice=2")], 1)
    with pytest.raises(JobFailure, match=r"has no volume 5: there are 5"):
        read_image([part(path, "#slice=2&volume=5")], 1)


def test_flat_image_needs_no_slice(made):
    for voxels in (np.uint8([[1, 2, 3]]), np.uint8([[[1], [2], [3]]])):
        assert read_image([made(voxels)], 1).ravel().tolist() == [1, 2, 3]


def test_volume_without_a_slice_says_how_to_name_one():
    with pytest.raises(JobFailure, match=r"is a volume of 25 slices; name one .*: #slice=0 to #slice=24\."):
        read_image([SHIPPED / "anatomical.nii"], 1)
    with pytest.raises(InvalidInput, match="is a volume of 25 slices"):
        probe(SHIPPED / "anatomical.nii")


def test_colours_are_kept(made):
    colours = np.zeros((2, 1, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours[:, 0, 0] = [(1, 2, 3), (4, 5, 6)]
    path = made(colours)
    assert read_image([path], 3).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert probe(path).channels == 3


def test_shipped_volumes_are_read():
    assert read_image([SHIPPED / "anatomical.nii#slice=12"], 1).shape == (41, 33, 1)
    assert read_image([SHIPPED / "example4d.nii.gz#slice=12&volume=1"], 1).shape == (96, 128, 1)
    assert read_image([SHIPPED / "example_nifti2.nii.gz#slice=0&volume=0"], 1).shape == (20, 32, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_mask_holds_class_indexes(made, dtype):
    path = made(np.array([[[0, 1], [2, 3]]], dtype))
    assert read_mask(part(path, "#slice=1"), 4, max_pixels=100).ravel().tolist() == [1, 3]


def test_complex_numbers_are_refused(made):
    with pytest.raises(JobFailure, match="holds complex numbers"):
        read_image([made(np.zeros((2, 2), np.complex64))], 1)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", [b"", b"just a text\n" * 100, gzip.compress(b"x" * 1000), b"\x1f\x8b"])
def test_what_is_no_nifti_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(JobFailure, match=rf"{name}"):
        read_image([tmp_path / name], 1)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_file_is_named(made, name):
    path = made(np.random.default_rng(1).integers(0, 99, (20, 20, 20), dtype=np.int16), name)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(JobFailure, match=f"{name}' is damaged"):
        read_image([part(path, "#slice=19")], 1)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(JobFailure, match=r"none\.nii' does not exist\."):
        read_image([tmp_path / "none.nii#slice=1"], 1)


def test_size_is_judged_before_reading(made):
    path = made(np.zeros((30, 40, 2), np.uint8))
    with pytest.raises(JobFailure, match="30 x 40 pixels, more than the 1,199 "):
        images.read_image([part(path, "#slice=0")], 1, max_pixels=1_199)
    with pytest.raises(JobFailure, match="is cut across 2,400 voxels"):
        images.read_image([part(path, "#slice=0&axis=0")], 1, max_pixels=299)


def test_image_without_pixels_is_named(made):
    path = made(np.zeros((0, 5), np.uint8))
    for read in (lambda: read_image([path], 3), lambda: read_mask(path, 2, max_pixels=100)):
        with pytest.raises(JobFailure, match=r"scan\.nii\.gz' (has no pixels|is damaged)"):
            read()
