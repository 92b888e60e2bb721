"""Regions of whole-slide images, from a pyramid made here."""

from functools import partial

import numpy as np
import pytest
from mask_reading import read_mask

from app.datasets import images
from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput, JobFailure

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("openslide")
read_image = partial(images.read_image, max_pixels=1_000_000)


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
    """Write a tiled pyramid of two levels, the second half as large."""
    path = tmp_path_factory.mktemp("slides") / "slide.tif"
    pixels = np.random.default_rng(1).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, tile=(128, 128), photometric="rgb")
        file.write(pixels[::2, ::2], tile=(128, 128), photometric="rgb", subfiletype=1)
    return path, pixels


def part(path, text):
    return path.with_name(path.name + text)


def test_region_of_the_full_level(pyramid):
    path, pixels = pyramid
    place = part(path, "#x=100&y=50&width=200&height=150")
    assert (read_image([place], 3) == pixels[50:200, 100:300]).all()
    assert probe(place) == ImageHeader(200, 150, 3, 8)


def test_corner_counts_in_full_pixels_and_size_in_those_of_the_level(pyramid):
    path, pixels = pyramid
    place = part(path, "#level=1&x=100&y=50&width=64&height=32")
    assert (read_image([place], 3) == pixels[::2, ::2][25:57, 50:114]).all()


def test_whole_level(pyramid):
    path, pixels = pyramid
    assert (read_image([part(path, "#level=1")], 3) == pixels[::2, ::2]).all()


def test_mask_of_a_region(pyramid, tmp_path):
    pixels = np.repeat(np.uint8([[0, 255]]).repeat(128, axis=0).repeat(64, axis=1)[..., None], 3, axis=2)
    tifffile.imwrite(tmp_path / "mask.tif", pixels, tile=(128, 128), photometric="rgb")
    mask = read_mask(part(tmp_path / "mask.tif", "#x=60&y=0&width=8&height=2"), 2, max_pixels=100_000)
    assert mask.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("#level=2", "has no level 2: there are 2, counted from 0"),
        ("#level=0&x=700&y=0&width=100&height=10", "does not lie in level 0, which has 768 x 512 pixels"),
        ("#x=-1&y=0&width=100&height=10", "does not lie in level 0"),
        ("#x=0&y=0&width=0&height=10", "does not lie in level 0"),
        ("#level=1&x=0&y=0&width=10", "does not say its height"),
        ("#level=1&page=2", "has no 'page'"),
    ],
)
def test_region_that_is_not_there_is_named(pyramid, text, sentence):
    with pytest.raises(JobFailure, match=sentence):
        read_image([part(pyramid[0], text)], 3)
    with pytest.raises(InvalidInput, match=sentence):
        probe(part(pyramid[0], text))


def test_size_is_judged_before_reading(pyramid):
    with pytest.raises(JobFailure, match="768 x 512 pixels, more than"):
        images.read_image([part(pyramid[0], "#level=0")], 3, max_pixels=100_000)
    assert images.read_image([part(pyramid[0], "#x=0&y=0&width=5&height=5")], 3, max_pixels=16_384).shape == (5, 5, 3)
    with pytest.raises(JobFailure, match="128 x 128 pixels, more than"):
        images.read_image([part(pyramid[0], "#x=0&y=0&width=5&height=5")], 3, max_pixels=16_383)


@pytest.mark.parametrize("content", [b"", b"just a text", b"II*\0\x08\0\0\0", None])
def test_what_is_no_slide_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "a.svs").write_bytes(content)
    for text in ("", "#level=0"):
        with pytest.raises(JobFailure, match=r"a\.svs'"):
            read_image([part(tmp_path / "a.svs", text)], 3)


def test_truncated_slide_is_named(pyramid, tmp_path):
    (tmp_path / "a.tif").write_bytes(pyramid[0].read_bytes()[:200_000])
    with pytest.raises(JobFailure, match=r"a\.tif' is damaged"):
        read_image([part(tmp_path / "a.tif", "#level=0&x=0&y=300&width=100&height=100")], 3)
