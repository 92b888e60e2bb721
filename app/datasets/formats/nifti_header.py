"""The shape of a NIfTI volume from its header alone: the web process lists slices, and must not load nibabel for that.

Source: the NIfTI-1 and NIfTI-2 definitions, `nifti1.h` and `nifti2.h` of nifti.nimh.nih.gov.
"""

import gzip
import struct
import zlib
from pathlib import Path

from app.errors import InvalidInput

HEADER_BYTES = 540
# By the first number of a header, its own length: where `dim` lies, and how its eight numbers are stored.
DIMENSIONS = {348: (40, "8h"), 540: (16, "8q")}


def volume_shape(path: Path, name: str) -> tuple[int, ...]:
    """Return the lengths of a volume's axes, at least three.

    Args:
        path: a `.nii` or `.nii.gz` file.
        name: what the file is called in an error.

    Raises:
        InvalidInput: if the file is no NIfTI file, or cannot be read.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            header = file.read(HEADER_BYTES)
        for order in "<>":
            (length,) = struct.unpack_from(f"{order}i", header)
            if length in DIMENSIONS:
                offset, numbers = DIMENSIONS[length]
                count, *lengths = struct.unpack_from(order + numbers, header, offset)
                if 1 <= count <= 7 and min(lengths[:count]) >= 1:
                    return (*lengths[:count], *(1,) * (3 - count))
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InvalidInput(f"{name} cannot be read as a NIfTI file: it is cut off, empty or damaged.") from error
    raise InvalidInput(f"{name} is no NIfTI file, though it is called so.")
