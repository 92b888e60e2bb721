"""DICOM: one frame, its values made physical, windowed, and 8 bits wide. Read by pydicom."""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from app.datasets.formats.codestream import codestream_size
from app.datasets.formats.eight_bits import stretch, value_range
from app.datasets.formats.kinds import DICOM_SUFFIXES, load_library
from app.datasets.formats.parts import Part
from app.datasets.probe import ImageHeader, refuse_too_large
from app.errors import JobFailure

DEFLATED = b"1.2.840.10008.1.2.1.99"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
GROUP_LENGTH_AT, META_AT = 140, 144  # of the file meta information, behind preamble and mark
PLUGINS = ("pydicom", "pylibjpeg", "pyjpegls", "pillow", "gdcm")  # GDCM only where nothing else decodes
SMALL_BYTES = 64 * 1024**2
MOST_INFLATED_BYTES = 256 * 1024**2


class Frame(NamedTuple):
    """The dataset without its pixels, the position of a frame, and the frame's stored numbers."""

    dataset: Any
    position: int
    numbers: np.ndarray


def header(path: Path, part: Part) -> ImageHeader:
    """Return the size of the frames; the colours of a palette are three channels."""
    with _faults_of(path):
        dataset = _read(path, with_pixels=False)
        _frame_index(dataset, part)
        is_colour = int(dataset.get("SamplesPerPixel", 1)) == 3 or _photometric(dataset) == "PALETTE COLOR"
        depth = int(dataset.get("BitsStored", dataset.get("BitsAllocated", 8)))
        return ImageHeader(int(dataset.Columns), int(dataset.Rows), 3 if is_colour else 1, depth)


def pixels(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode one frame as 8 bits."""
    with _faults_of(path):
        frame = _frame(path, part, max_pixels)
        if _photometric(frame.dataset) == "PALETTE COLOR":
            return _upper_bits(_pixels().apply_color_lut(frame.numbers, frame.dataset))
        if frame.numbers.ndim == 3:
            return _upper_bits(frame.numbers, int(frame.dataset.BitsStored))
        grey = _windowed(frame, part.window())
        return 255 - grey if _photometric(frame.dataset) == "MONOCHROME1" else grey


def values(path: Path, part: Part, max_pixels: int) -> np.ndarray:
    """Decode one frame's stored numbers, as segmentations hold them."""
    with _faults_of(path):
        return _frame(path, part, max_pixels).numbers


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except JobFailure:
        raise
    except Exception as error:  # pydicom and its decoders let many kinds of exception through for a broken file
        last_line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        reason = "".join(filter(str.isprintable, last_line)).strip().rstrip(".")[:200]
        raise JobFailure(f"The image {str(path)!r} is damaged or no DICOM image that can be read: {reason}.") from error


@cache
def _pydicom() -> Any:
    library = load_library("pydicom", "dicom")
    warnings.filterwarnings("ignore", module=r"pydicom\b")  # it tells much of files that are read well in the end
    return library


def _read(path: Path, *, with_pixels: bool) -> Any:
    pydicom = _pydicom()
    _refuse_inflation(path)
    is_named = path.name.lower().endswith(DICOM_SUFFIXES)  # old files have no mark that tells what they are
    dataset = pydicom.dcmread(path, stop_before_pixels=not with_pixels, force=is_named)
    if "Rows" not in dataset or "Columns" not in dataset:
        uid = dataset.get("SOPClassUID", "")
        what = uid.name if uid in pydicom.uid.UID_dictionary else "not of a kind that DICOM knows"
        raise JobFailure(f"The file {str(path)!r} holds no image: it is {what}.")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_guessed_syntax(dataset))
    return dataset


def _guessed_syntax(dataset: Any) -> str:
    """Return the syntax that a file without meta information was found to be in."""
    if dataset.original_encoding[0] in (None, True):
        return IMPLICIT_LITTLE_ENDIAN
    return "1.2.840.10008.1.2.1" if dataset.original_encoding[1] else "1.2.840.10008.1.2.2"


def _refuse_inflation(path: Path) -> None:
    """Count what a deflated file unpacks to, as pydicom would unpack all of it at once."""
    with path.open("rb") as file:
        start = file.read(4096)
        if DEFLATED not in start:
            return
        file.seek(META_AT + int.from_bytes(start[GROUP_LENGTH_AT:META_AT], "little"))
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        count = 0
        while packed := file.read(65536):
            while packed:
                count += len(inflate.decompress(packed, 1024**2))
                packed = inflate.unconsumed_tail
                if count > MOST_INFLATED_BYTES:
                    limit = f"the {MOST_INFLATED_BYTES:,} bytes that are unpacked"
                    raise JobFailure(f"The image {str(path)!r} is deflated and holds more than {limit}.")


def _frame(path: Path, part: Part, max_pixels: int) -> Frame:
    is_small = path.stat().st_size <= SMALL_BYTES  # of a large file only the one frame is read, if it is not compressed
    dataset = _read(path, with_pixels=is_small)
    index = _frame_index(dataset, part)
    refuse_too_large(path, int(dataset.Columns), int(dataset.Rows), max_pixels)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not is_small:
        dataset = _read(path, with_pixels=True)
    if syntax.is_encapsulated:
        _check_codestream(dataset, index, part)
    source = dataset if is_small or syntax.is_compressed else path
    numbers = _pixels().pixel_array(source, index=index, decoding_plugin=_plugin(syntax, part))
    return Frame(dataset, index, numbers)


def _frame_index(dataset: Any, part: Part) -> int:
    count = int(dataset.get("NumberOfFrames") or 1)
    if count > 1 and "frame" not in part:
        raise part.fault(f"has {count} frames; name one behind the file's name: #frame=0 to #frame={count - 1}")
    return part.index("frame", count, default=0)


def _check_codestream(dataset: Any, index: int, part: Part) -> None:
    """Compare the size that the compressed frame tells its decoder with the size that was judged."""
    encaps = load_library("pydicom.encaps", "dicom")
    count = int(dataset.get("NumberOfFrames") or 1)
    size = codestream_size(encaps.get_frame(dataset.PixelData, index, number_of_frames=count))
    if size not in (None, (int(dataset.Columns), int(dataset.Rows))):
        width, height = size or (0, 0)
        raise part.fault(f"is compressed as {width} x {height} pixels, but is {dataset.Columns} x {dataset.Rows}")


def _plugin(syntax: Any, part: Part) -> str:
    """Choose what decodes a transfer syntax."""
    decoder = load_library("pydicom.pixels", "dicom").get_decoder(syntax)
    if not syntax.is_encapsulated:
        return ""
    for name in PLUGINS:
        if name in decoder.available_plugins:
            return name
    needed = 'its decoder is not installed: pip install "deephealth-backend[dicom]"'
    raise part.fault(f"is compressed in the transfer syntax {syntax.name}; {needed}")


def _windowed(frame: Frame, window: tuple[float, float] | None) -> np.ndarray:
    """Bring grey numbers to 8 bits by the window of the part, of the file, or from the smallest to the largest."""
    physical = _pixels().apply_modality_lut(frame.numbers, _of_frame(frame, "PixelValueTransformationSequence"))
    if window:
        return stretch(physical, *window)
    presentation = _of_frame(frame, "FrameVOILUTSequence")
    if presentation.get("VOILUTSequence"):
        table = presentation.VOILUTSequence[0]
        return _upper_bits(_pixels().apply_voi(physical.astype(np.int64), presentation), int(table.LUTDescriptor[2]))
    center, width = (_first(presentation.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None and width > 0:
        return _by_window(physical, center, width, presentation.get("VOILUTFunction") or "LINEAR")
    if physical.dtype == np.uint8 and int(frame.dataset.BitsStored) == 8:
        return physical
    return stretch(physical, *value_range(_without_padding(frame, physical)))


def _by_window(physical: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """Apply a window as DICOM PS3.3 C.11.2.1 defines it."""
    if function == "SIGMOID":
        return np.rint(255 / (1 + np.exp(-4 * (physical - center) / width))).astype(np.uint8)
    if function == "LINEAR_EXACT":
        return stretch(physical, center - width / 2, center + width / 2)
    return stretch(physical, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _of_frame(frame: Frame, sequence: str) -> Any:
    """Return what holds a frame's settings: its own or the shared functional group of enhanced files, or the file."""
    own = frame.dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = frame.dataset.get("SharedFunctionalGroupsSequence") or ()
    for group in (*own[frame.position : frame.position + 1], *shared):
        if group.get(sequence):
            return group[sequence][0]
    return frame.dataset


def _without_padding(frame: Frame, physical: np.ndarray) -> np.ndarray:
    """Leave out what scanners fill the surroundings of the body with, unless there is nothing else."""
    padding = frame.dataset.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return physical
    inside = physical[frame.numbers != padding]
    return inside if inside.size else physical


def _upper_bits(numbers: np.ndarray, depth: int | None = None) -> np.ndarray:
    """Keep the upper 8 of the bits that are used; fewer bits are spread over 0..255."""
    depth = depth or 8 * numbers.dtype.itemsize
    if depth < 8:
        return stretch(numbers, 0, 2**depth - 1)
    return (numbers >> (depth - 8)).astype(np.uint8)


def _first(value: Any) -> float | None:
    """Return the first of several windows."""
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value)


def _photometric(dataset: Any) -> str:
    return str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))


def _pixels() -> Any:
    return load_library("pydicom.pixels", "dicom")
