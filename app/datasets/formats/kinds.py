"""Which kind of file a place lies in. The modules of the kinds, and their libraries, are loaded when one is met."""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import app.datasets.formats as formats
from app.datasets.formats.parts import WINDOW_KEYS, Part
from app.datasets.places import split_part, why_no_file
from app.errors import JobFailure

NIFTI_SUFFIXES = (".nii", ".nii.gz")
NIFTI_PAIR_SUFFIXES = (".hdr", ".img")  # header and voxels in two files; either name means both
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
SLIDE_SUFFIXES = (".svs", ".ndpi", ".scn", ".mrxs", ".vms", ".vmu", ".svslide", ".bif")
TIFF_SUFFIXES = (".tif", ".tiff")
PLAIN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
OTHER_PLAIN_SUFFIXES = (".gif", ".ppm", ".pgm", ".pbm", ".pnm")
SLIDE_KEYS = ("level", "x", "y", "width", "height")
KEYS = {
    "plain": WINDOW_KEYS,
    "tiff": ("page", *WINDOW_KEYS),
    "dicom": ("frame", *WINDOW_KEYS),
    "nifti": ("slice", "axis", "volume", *WINDOW_KEYS),
    "slide": SLIDE_KEYS,
}
DICOM_MARK, DICOM_MARK_AT = b"DICM", 128


class Kind(Protocol):
    """What the module of each kind of file offers; each raises JobFailure naming the file."""

    def header(self, path: Path, part: Part) -> Any:
        """Return the ImageHeader of the part, without decoding it; `app.datasets.probe` does this for plain files."""

    def pixels(self, path: Path, part: Part, max_pixels: int) -> Any:
        """Return uint8 `(H, W)` grey, `(H, W, 3)` RGB or `(H, W, planes)`."""

    def values(self, path: Path, part: Part, max_pixels: int) -> Any:
        """Return the stored numbers of a mask, `(H, W)` or, coloured, `(H, W, 3)`."""


class Source(NamedTuple):
    """One image: its file, the part of the file, and the kind of file that it is."""

    path: Path
    part: Part
    kind_name: str

    @property
    def kind(self) -> Kind:
        """The module of the kind; raises JobFailure if there is no such file."""
        if self.kind_name != "plain" and (reason := why_no_file(self.path)):  # `plain` asks when the file is open
            raise JobFailure(f"The image {str(self.path)!r} {reason}.")
        return _module(self.kind_name)


@cache
def _module(kind_name: str) -> Kind:
    return cast(Kind, import_module(f"{formats.__name__}.{kind_name}"))


def source_of(place: Path) -> Source:
    """Return the file, the part and the kind of a place.

    Raises:
        JobFailure: if the part does not fit the kind of file.
    """
    path, text = split_part(place)
    kind_name = _kind_name(path, text)
    return Source(path, Part(path, text, KEYS[kind_name]), kind_name)


def load_library(name: str, extra: str) -> ModuleType:
    """Import a library that is installed only with an extra.

    Raises:
        JobFailure: naming the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        command = f'pip install "deephealth-backend[{extra}]"'
        raise JobFailure(f"This kind of image needs the library {name}, which is not installed: {command}.") from error


def _kind_name(path: Path, part: str) -> str:
    """Judge by the name; only a name that tells nothing makes a look into the file necessary."""
    name = path.name.lower()
    if name.endswith(PLAIN_SUFFIXES):  # most files, and a small one is decoded in the time that the rest takes
        return "plain"
    if name.endswith(NIFTI_SUFFIXES):
        return "nifti"
    if name.endswith(SLIDE_SUFFIXES):
        return "slide"
    if name.endswith(TIFF_SUFFIXES):
        return "slide" if part and part[1:].partition("=")[0] in SLIDE_KEYS else "tiff"
    if name.endswith(DICOM_SUFFIXES) or (not name.endswith(OTHER_PLAIN_SUFFIXES) and is_marked_as_dicom(path)):
        return "dicom"
    return "nifti" if name.endswith(NIFTI_PAIR_SUFFIXES) else "plain"


def is_marked_as_dicom(path: Path) -> bool:
    """Scanners name files `IM0001`, `slice.img` or by a number with dots."""
    if why_no_file(path):  # the kind that is then tried says why
        return False
    try:
        with path.open("rb") as file:
            file.seek(DICOM_MARK_AT)
            return file.read(len(DICOM_MARK)) == DICOM_MARK
    except OSError:
        return False
