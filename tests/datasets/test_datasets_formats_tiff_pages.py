"""The two readers of TIFF pages: together they give the numbers that a file holds, or say that they cannot."""

import struct
import zlib
from functools import partial

import numpy as np
import pytest
import tifffile
from PIL import Image

from app.datasets import images
from app.datasets.formats.tiff_pages import NumberPages
from app.datasets.probe import ImageHeader, probe
from app.errors import JobFailure

read_image = partial(images.read_image, max_pixels=10_000)
read_mask_values = partial(images.read_mask_values, max_pixels=10_000)

HEIGHT, WIDTH = 7, 11
GREY = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 3
COLOURS = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
DEEP_COLOURS = COLOURS.astype(np.uint16) * 257


@pytest.fixture(params=[("<", False), (">", False), ("<", True), (">", True)], ids=["le", "be", "le-big", "be-big"])
def write(request, tmp_path):
    """Write an array in each of the four kinds of TIFF; the last is one that Pillow does not know."""

    def write_one(array, photometric="minisblack", **options):
        byteorder, bigtiff = request.param
        place = tmp_path / "a.tif"
        tifffile.imwrite(place, array, photometric=photometric, byteorder=byteorder, bigtiff=bigtiff, **options)
        return place

    return write_one


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_every_width(write, dtype):
    place = write((GREY / 255).astype(dtype))
    assert np.abs(read_image([place], 1)[..., 0].astype(int) - GREY).max() <= 1
    assert probe(place) == ImageHeader(WIDTH, HEIGHT, 1, 8 * np.dtype(dtype).itemsize)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int32])
def test_integers_are_stretched_from_their_smallest_to_their_largest(write, dtype):
    span = np.iinfo(dtype)
    numbers = np.linspace(float(span.min), float(span.max) * 0.99, GREY.size).astype(dtype).reshape(GREY.shape)
    expected = np.linspace(0, 255, GREY.size).reshape(GREY.shape)
    assert np.abs(read_image([write(numbers)], 1)[..., 0] - expected).max() < 2


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
@pytest.mark.parametrize("is_apart", [False, True])
def test_colours(write, options, is_apart):
    for colours in (COLOURS, DEEP_COLOURS):
        stored = np.ascontiguousarray(colours.transpose(2, 0, 1)) if is_apart else colours
        place = write(stored, "rgb", planarconfig="separate" if is_apart else "contig", **options)
        assert (read_image([place], 3) == COLOURS).all()
        assert probe(place).channels == 3


def test_float_colours(write):
    assert np.abs(read_image([write((COLOURS / 255).astype(np.float32), "rgb")], 3).astype(int) - COLOURS).max() <= 1


def test_alpha_is_dropped_and_leaves_the_colours_alone(write):
    for colours in (COLOURS, DEEP_COLOURS):
        with_alpha = np.dstack([colours, colours[..., 2] // 3])
        assert (read_image([write(with_alpha, "rgb", extrasamples=["unassalpha"])], 3) == COLOURS).all()
    place = write(np.dstack([GREY, GREY // 2]), extrasamples=["unassalpha"])
    assert (read_image([place], 1)[..., 0] == GREY).all()
    assert probe(place).channels == 1


def test_palettes_and_white_as_zero(write):
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint16)
    assert (read_image([write(GREY, "palette", colormap=palette.T * 257)], 3) == palette[GREY]).all()
    assert (read_image([write(GREY, "miniswhite")], 1)[..., 0] == 255 - GREY).all()


def test_window_sees_all_sixteen_bits_of_colours(write):
    place = write(COLOURS.astype(np.uint16), "rgb")
    windowed = place.with_name("a.tif#low=0&high=255")
    assert (read_image([windowed], 3) == COLOURS).all()


def test_masks_of_wide_integers(write):
    labels = np.uint32([[0, 1], [2, 3_000_000_000]])
    assert read_mask_values(write(labels)).tolist() == labels.tolist()


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_packings_that_only_pillow_knows(tmp_path, compression):
    Image.fromarray(COLOURS).save(tmp_path / "a.tif", compression=compression)
    assert (read_image([tmp_path / "a.tif"], 3) == COLOURS).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_images_masks_and_sizes_alike(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        1: GREY, 2: GREY[:, ::-1], 3: GREY[::-1, ::-1], 4: GREY[::-1],
        5: GREY.T, 6: GREY[::-1].T, 7: GREY[::-1, ::-1].T, 8: GREY[:, ::-1].T,
    }[orientation]  # fmt: skip
    Image.fromarray(GREY).save(tmp_path / "a.tif", exif=exif)
    assert read_image([tmp_path / "a.tif"], 1)[..., 0].tolist() == turned.tolist()
    assert read_mask_values(tmp_path / "a.tif").tolist() == turned.tolist()
    assert probe(tmp_path / "a.tif") == ImageHeader(turned.shape[1], turned.shape[0], 1, 8)


def test_packing_that_is_not_read_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4)), byteorder="<")
    content = (tmp_path / "a.tif").read_bytes()
    packing = struct.pack("<HHI", 259, 3, 1)
    (tmp_path / "a.tif").write_bytes(content.replace(packing + b"\1", packing + b"\5"))
    with pytest.raises(JobFailure, match=r"a\.tif' holds 64-bit numbers packed as LZW, which are not read; store them"):
        read_image([tmp_path / "a.tif"], 1)


def test_more_bytes_than_pixels_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("app.datasets.formats.tiff_pages.SLACK_BYTES", 0)
    bomb = zlib.compress(b"\0" * 1_000_000)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(iter([bomb]), shape=(4, 4), dtype=np.float64, compression="zlib", rowsperstrip=4)
    with pytest.raises(JobFailure, match=r"a\.tif' holds more than its 128 bytes"):
        read_image([tmp_path / "a.tif"], 1)


def test_number_pages_judge_their_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((200, 100)), tile=(16, 16))
    with (tmp_path / "a.tif").open("rb") as file:
        pages = NumberPages(tmp_path / "a.tif", file)
        pages.check(0, 208 * 112)
        with pytest.raises(JobFailure, match=r"100 x 200 pixels, more than the 9,999 that are decoded"):
            pages.check(0, 9_999)
