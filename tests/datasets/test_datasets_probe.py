"""Headers of image files, read without decoding."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput

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


def png_header_of(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("name", ["empty.png", "notanimage.png"])
def test_file_that_is_no_image_is_named(name):
    with pytest.raises(InvalidInput, match=f"{name}' is not an image"):
        probe(IMAGES / name)


def test_absent_file_and_folder_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.png", tmp_path / "a\0.png"):
        with pytest.raises(InvalidInput, match="cannot be opened"):
            probe(path)


def test_open_file_is_called_what_the_caller_calls_it():
    with pytest.raises(InvalidInput, match="'upload' is not an image"):
        probe(io.BytesIO(b"text"), "upload")
