"""Headers of image files, read without decoding."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput

GREY_ALPHA = 4  # the kind of PNG
IMAGES = Path(__file__).parent.parent / "data" / "datasets" / "ecvl" / "img"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("c0.png", ImageHeader(8, 6, 3, 8)),
        ("g0.png", ImageHeader(8, 6, 1, 8)),
        ("g16.png", ImageHeader(8, 6, 1, 16)),
        ("bit1.png", ImageHeader(8, 6, 1, 1)),
        ("pal.png", ImageHeader(8, 6, 3, 8)),
        ("rgba.png", ImageHeader(8, 6, 3, 8)),
        ("exif6.jpg", ImageHeader(6, 8, 3, 8)),
        ("small4x9.png", ImageHeader(4, 9, 3, 8)),
    ],
)
def test_header_of(name, header):
    assert probe(IMAGES / name) == header
    with (IMAGES / name).open("rb") as file:
        assert probe(file) == header


@pytest.mark.parametrize(
    ("pixels", "form", "header"),
    [
        (np.zeros((6, 8), np.uint16), "TIFF", ImageHeader(8, 6, 1, 16)),
        (np.zeros((6, 8), np.float32), "TIFF", ImageHeader(8, 6, 1, 32)),
        (np.zeros((6, 8, 3), np.uint8), "BMP", ImageHeader(8, 6, 3, 8)),
        (np.zeros((6, 8, 3), np.uint8), "WEBP", ImageHeader(8, 6, 3, 8)),
        (np.zeros((6, 8, 2), np.uint8), "PNG", ImageHeader(8, 6, 1, 8)),
    ],
)
def test_header_of_written(pixels, form, header):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    assert probe(buffer) == header


def test_huge_image_is_measured_without_its_pixels(tmp_path):
    (tmp_path / "huge.png").write_bytes(png_header_of(60_000, 60_000))
    assert probe(tmp_path / "huge.png") == ImageHeader(60_000, 60_000, 1, 8)


def png_header_of(width, height, depth=8, kind=0):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("name", ["empty.png", "notanimage.png"])
def test_file_that_is_no_image_is_named(name):
    with pytest.raises(InvalidInput, match=f"{name}' is not an image"):
        probe(IMAGES / name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.png", "none.png' does not exist"),
        ("none.tif", "none.tif' does not exist"),
        ("folder.png", "folder.png' is a folder, not an image"),
        ("pipe.png", "pipe.png' is a pipe or a device, not an image"),
        ("pipe.tif", "pipe.tif' is a pipe or a device, not an image"),
        ("loop.png", "loop.png' cannot be opened: Too many levels"),
        ("a\0.png", "cannot be opened: embedded null byte"),
    ],
)
def test_what_is_no_file_is_named(tmp_path, name, sentence):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    for pipe in ("pipe.png", "pipe.tif"):
        os.mkfifo(tmp_path / pipe)
    with pytest.raises(InvalidInput, match=sentence):
        probe(tmp_path / name)


@pytest.mark.parametrize(
    ("depth", "kind"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, GREY_ALPHA), (16, GREY_ALPHA)]
)
def test_depth_of_grey_with_and_without_alpha(depth, kind):
    assert probe(io.BytesIO(png_header_of(8, 6, depth, kind))) == ImageHeader(8, 6, 1, depth)


def test_open_file_is_called_what_the_caller_calls_it():
    with pytest.raises(InvalidInput, match="'upload' is not an image"):
        probe(io.BytesIO(b"text"), "upload")
