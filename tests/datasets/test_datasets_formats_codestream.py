"""The size that a compressed picture tells its decoder."""

import io

import numpy as np
import pytest
from PIL import Image

from app.datasets.formats.codestream import codestream_size


def encoded(form, **options):
    buffer = io.BytesIO()
    Image.new("L", (31, 17), 5).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True),
        encoded("JPEG", exif=b"Exif\0\0" + b"x" * 500),
        encoded("JPEG2000", no_jp2=True),
        encoded("JPEG2000", no_jp2=False),
    ],
)
def test_size_is_found(content):
    assert codestream_size(content) == (31, 17)


def test_size_of_jpeg_ls_is_found():
    jpeg_ls = pytest.importorskip("jpeg_ls")
    assert codestream_size(bytes(jpeg_ls.encode_array(np.zeros((17, 31), np.uint8)))) == (31, 17)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0", b"\xff\x4f\xff\x51\0", b"x" * 99]
)
def test_start_that_tells_no_size(content):
    assert codestream_size(content) is None


def test_segment_without_end_ends():
    assert codestream_size(b"\xff\xd8" + b"\xff\xe0\0\0" * 100_000) is None
