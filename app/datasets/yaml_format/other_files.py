"""Say what a file is that was taken for a description, before YAML's words for it confuse its sender."""

from pathlib import PurePosixPath

from app.datasets.problems import shorten
from app.errors import InvalidInput

TEXT_SUFFIXES = ("", ".yml", ".yaml", ".txt")  # what may be an empty description
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz")
STARTS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"RIFF", "a WebP image"),
    (b"PK\x03\x04", "an archive"),
    (b"\x1f\x8b", "a compressed file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a database"),
)
DICOM_MARK, DICOM_MARK_AT = b"DICM", 128
EXPECTED = "a YAML file that lists the images, a folder of images, or an uploaded archive of one is expected"


def refuse_other_kinds(name: str, content: bytes) -> None:
    """Refuse what is plainly no text, or is called an archive and is none.

    Args:
        name: of the file, as its sender knows it.
        content: its beginning.

    Raises:
        InvalidInput: saying what the file is, and what is expected.
    """
    suffix = PurePosixPath(name.lower()).suffix
    if suffix in ARCHIVE_SUFFIXES and kind_name(content) is None:
        is_what = "has no content" if not content else "does not begin like one"
        raise InvalidInput(f"{shorten(name)} is called an archive, but {is_what}; send a whole zip or tar.gz file.")
    if not content and suffix not in TEXT_SUFFIXES:
        raise InvalidInput(f"{shorten(name)} has no content, and its name is not that of a text; {EXPECTED}.")
    kind = kind_name(content)
    if kind is not None:
        raise InvalidInput(f"{shorten(name)} is {kind}; {EXPECTED}.")


def kind_name(content: bytes) -> str | None:
    """Return what a file is by how it begins; None for a text, and for whatever is not known."""
    if content[DICOM_MARK_AT:].startswith(DICOM_MARK):
        return "a DICOM image"
    return next((kind for start, kind in STARTS if content.startswith(start)), None)
