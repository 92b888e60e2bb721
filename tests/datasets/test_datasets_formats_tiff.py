"""TIFF: pages, planes, floats and wide integers."""

from functools import partial

import numpy as np
import pytest
import tifffile
from mask_reading import read_mask
from PIL import Image

from app.datasets import images
from app.datasets.probe import ImageHeader, probe
from app.errors import JobFailure

read_image = partial(images.read_image, max_pixels=1_000_000)


@pytest.fixture
def stack(tmp_path):
    """Write five grey pages; the pixels of page n are n and more."""
    pages = np.arange(5 * 6 * 8, dtype=np.uint8).reshape(5, 6, 8)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    return tmp_path / "stack.tif", pages


def part(path, text):
    return path.with_name(path.name + text)


def test_pages_of_one_size_are_planes(stack):
    path, pages = stack
    assert (read_image([path], 5) == pages.transpose(1, 2, 0)).all()
    assert probe(path) == ImageHeader(8, 6, 5, 8)


def test_page_is_named(stack):
    path, pages = stack
    assert (read_image([part(path, "#page=3")], 1)[..., 0] == pages[3]).all()
    assert (read_image([part(path, "#page=0")], 3) == pages[0][..., None]).all()
    assert probe(part(path, "#page=3")) == ImageHeader(8, 6, 1, 8)
    with pytest.raises(JobFailure, match=r"has no page 5: there are 5, counted from 0"):
        read_image([part(path, "#page=5")], 1)


def test_other_number_of_channels_says_how_to_name_a_page(stack):
    with pytest.raises(JobFailure, match=r"has 5 pages .* but 1 channels are expected; name one page .*: #page=0\."):
        read_image([stack[0]], 1)
    with pytest.raises(JobFailure, match=r"has 5 pages, but a mask is one; name it: stack\.tif#page=0\."):
        read_mask(stack[0], 2, max_pixels=1000)


def test_of_pages_of_several_sizes_the_first_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        for size in (16, 8):
            file.write(np.full((size, size, 3), size, np.uint8), photometric="rgb")
    assert probe(tmp_path / "pyramid.tif") == ImageHeader(16, 16, 3, 8)
    assert read_image([tmp_path / "pyramid.tif"], 3).tolist() == np.full((16, 16, 3), 16).tolist()


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressions(tmp_path, compression, dtype):
    if compression == "jpeg" and dtype == np.uint16:
        return
    pixels = np.arange(48, dtype=dtype).reshape(6, 8) * (256 if dtype == np.uint16 else 1)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    expected = np.arange(48).reshape(6, 8)
    assert (
        np.abs(read_image([tmp_path / "a.tif"], 1)[..., 0].astype(int) - expected).max() <= (compression == "jpeg") * 9
    )


@pytest.mark.parametrize(("byteorder", "bigtiff"), [("<", False), (">", False), ("<", True)])
def test_sixteen_bits_become_the_upper_eight(tmp_path, byteorder, bigtiff):
    pages = np.uint16([[[0, 255, 256]], [[512, 40000, 65535]]])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", byteorder=byteorder, bigtiff=bigtiff)
    for index, page in enumerate(pages):
        assert read_image([part(tmp_path / "a.tif", f"#page={index}")], 1).ravel().tolist() == (page[0] >> 8).tolist()
    colours = pages.reshape(1, 2, 3)
    tifffile.imwrite(tmp_path / "b.tif", colours, photometric="rgb", byteorder=byteorder, bigtiff=bigtiff)
    assert read_image([tmp_path / "b.tif"], 3).tolist() == (colours >> 8).tolist()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.float32([[0, 0.5, 1]]), [0, 128, 255]),
        (np.float32([[-10, 0, 10]]), [0, 128, 255]),
        (np.int16([[-1000, 0, 1000]]), [0, 128, 255]),
        (np.int32([[0, 100_000, 200_000]]), [0, 128, 255]),
    ],
)
def test_other_numbers_are_stretched(tmp_path, numbers, expected):
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    assert read_image([tmp_path / "a.tif"], 1).ravel().tolist() == expected


def test_window_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.uint16([[0, 2048, 4096, 5000]]))
    assert read_image([part(tmp_path / "a.tif", "#low=0&high=4096")], 1).ravel().tolist() == [0, 128, 255, 255]
    Image.fromarray(np.uint16([[0, 2048, 4096, 5000]])).save(tmp_path / "a.png")
    assert read_image([part(tmp_path / "a.png", "#low=0&high=4096")], 1).ravel().tolist() == [0, 128, 255, 255]


def test_colour_pages_are_grey_planes(tmp_path):
    pages = np.random.default_rng(1).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    expected = (pages @ [0.299, 0.587, 0.114]).transpose(1, 2, 0)
    assert np.abs(read_image([tmp_path / "a.tif"], 2) - expected).max() <= 1
    assert (read_image([part(tmp_path / "a.tif", "#page=1")], 3) == pages[1]).all()


def test_mask_of_a_page(tmp_path):
    pages = np.uint8([[[0, 1, 2]], [[2, 1, 0]]])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    assert read_mask(part(tmp_path / "a.tif", "#page=1"), 3, max_pixels=100).tolist() == [[2, 1, 0]]


def test_pages_count_together_against_the_limit(stack):
    path, _ = stack
    assert images.read_image([path], 5, max_pixels=240).shape == (6, 8, 5)
    with pytest.raises(JobFailure, match="has 5 pages of 8 x 6 pixels, more than the 239 that are decoded"):
        images.read_image([path], 5, max_pixels=239)
    with pytest.raises(JobFailure, match="8 x 6 pixels, more than the 47 "):
        images.read_image([part(path, "#page=2")], 1, max_pixels=47)


def test_tiles_count_against_the_limit(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), tile=(512, 512))
    with pytest.raises(JobFailure, match="512 x 512 pixels, more than"):
        images.read_image([tmp_path / "a.tif"], 1, max_pixels=100)


@pytest.mark.parametrize("content", [b"", b"just a text", b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("text", ["", "#page=0", "#page=7"])
def test_what_is_no_tiff_is_named(tmp_path, content, text):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(JobFailure, match=r"a\.tif"):
        read_image([part(tmp_path / "a.tif", text)], 1)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(JobFailure, match=r"none\.tif' does not exist\."):
        read_image([tmp_path / "none.tif"], 1)
