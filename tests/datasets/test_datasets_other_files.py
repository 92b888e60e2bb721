"""Files that were taken for a description."""

import io

import pytest
from PIL import Image

from app.datasets.yaml_format.other_files import refuse_other_kinds
from app.errors import InvalidInput


def encoded(kind):
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WebP"])
def test_an_image_is_called_an_image(kind):
    with pytest.raises(InvalidInput, match=rf"'scan' is a {kind} image; a YAML file that lists the images, a folder"):
        refuse_other_kinds("scan", encoded(kind))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.zip", b"", "'x.zip' is called an archive, but has no content; send a whole zip"),
        ("X.ZIP", b"hello", "'X.ZIP' is called an archive, but does not begin like one"),
        ("x.tar.gz", b"images: []", "does not begin like one"),
        ("x.zip", b"PK\x03\x04...", "'x.zip' is an archive; a YAML file"),
        ("x.yml", bytes(128) + b"DICM...", "'x.yml' is a DICOM image"),
        ("x.pdf", b"%PDF-1.7", "a PDF document"),
        ("zero.png", b"", "'zero.png' has no content, and its name is not that of a text; a YAML file"),
    ],
)
def test_what_else_is_no_description(name, content, told):
    with pytest.raises(InvalidInput, match=told):
        refuse_other_kinds(name, content)


@pytest.mark.parametrize("content", [b"", b"images:\n", b"\xef\xbb\xbfimages: []", b"GI: 1", b"images: [\xe9]"])
def test_texts_are_left_to_their_reader(content):
    refuse_other_kinds("x.yml", content)
