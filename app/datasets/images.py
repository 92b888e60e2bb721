"""Decode images and masks, and write masks. For workers: the web process never decodes."""

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from app.datasets.formats.kinds import source_of
from app.datasets.masks import MaskRule
from app.errors import JobFailure
from app.files import write_atomically

GOLDEN_RATIO = 0.618034  # steps of it spread hues so that neighbouring classes differ


def read_image(places: Sequence[Path], channels: int, *, max_pixels: int) -> np.ndarray:
    """Decode an image, or planes that are stacked as channels.

    Args:
        places: one file, or one file per plane; each plane is read as grey. A place may name a part of a file:
            `scan.nii.gz#slice=12`. How each kind of file becomes 8 bits is told in `docs/datasets.md`.
        channels: 1 for grey, 3 for RGB; of several planes, their number.
        max_pixels: the largest width x height that is decoded.

    Returns:
        `(H, W, channels)` uint8.

    Raises:
        JobFailure: naming the file and what is wrong with it.
    """
    if len(places) == 1:
        return np.ascontiguousarray(_convert(_pixels(places[0], max_pixels), channels, places[0]))
    if len(places) != channels:
        raise JobFailure(
            f"The image {str(places[0])!r} has {len(places)} planes, but {channels} channels are expected."
        )
    planes = [_convert(_pixels(place, max_pixels), 1, place) for place in places]
    for place, plane in zip(places, planes, strict=True):
        if plane.shape != planes[0].shape:
            sizes = f"{_size(plane)} pixels and the first plane {_size(planes[0])}"
            raise JobFailure(f"The plane {str(place)!r} has {sizes}; the planes of an image have one size.")
    return np.concatenate(planes, axis=2)


def read_mask(place: Path, rule: MaskRule, *, max_pixels: int) -> np.ndarray:
    """Decode a mask into the class of each pixel, by the rule for all masks of its dataset.

    Returns:
        `(H, W)` uint8 of class indexes.

    Raises:
        JobFailure: naming the file, and the value that is no class.
    """
    values = read_mask_values(place, max_pixels=max_pixels)
    if rule.threshold is not None:
        return (values > rule.threshold).astype(np.uint8)
    found = _distinct(values)
    try:
        classes = {value: rule.class_of(value) for value in found}
    except JobFailure as error:
        raise JobFailure(f"The mask {str(place)!r}{error.message.removeprefix('The mask')}") from error
    if all(value == index for value, index in classes.items()):
        return values.astype(np.uint8)
    if values.dtype == np.uint8:
        table = np.zeros(256, np.uint8)
        table[list(classes)] = list(classes.values())
        return table[values]
    return np.array([classes[value] for value in found], np.uint8)[np.searchsorted(found, values)]


def read_mask_values(place: Path, *, max_pixels: int) -> np.ndarray:
    """Decode the numbers that a mask holds, or the indexes of its palette; floats from 0 to 1 become 0 to 255.

    Returns:
        `(H, W)` of an integer type.

    Raises:
        JobFailure: naming the file and what is wrong with it.
    """
    path, part, _ = source = source_of(place)
    values = _not_empty(source.kind.values(path, part, max_pixels), place, "mask")
    if values.ndim == 3:
        values = _single_value(values, place)
    if values.dtype.kind == "f":
        return _whole_numbers(values, place)
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def write_mask(path: Path, class_map: np.ndarray, class_count: int) -> None:
    """Write a mask as PNG: 0 and 255 with up to two classes, else a palette whose indexes are the class indexes.

    Args:
        class_map: `(H, W)` integers from 0 to `class_count` - 1 (to 1 with one class).
    """
    if class_count <= 2:
        image = Image.fromarray(np.where(class_map > 0, 255, 0).astype(np.uint8))
    elif class_count <= 256:
        image = Image.frombytes("P", class_map.shape[::-1], np.ascontiguousarray(class_map, dtype=np.uint8).tobytes())
        image.putpalette(_palette(class_count))
    else:
        raise JobFailure(f"A mask of {class_count} classes cannot be written; PNG palettes have 256 colours.")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def _palette(class_count: int) -> list[int]:
    """Return black and then bright colours as flat RGB values 0..255."""
    colours = [(0.0, 0.0, 0.0)] + [colorsys.hsv_to_rgb(i * GOLDEN_RATIO % 1, 0.75, 1) for i in range(class_count - 1)]
    return [round(255 * part) for colour in colours for part in colour]


def _pixels(place: Path, max_pixels: int) -> np.ndarray:
    path, part, _ = source = source_of(place)
    return _not_empty(source.kind.pixels(path, part, max_pixels), place)


def _not_empty(numbers: np.ndarray, place: Path, what: str = "image") -> np.ndarray:
    if not numbers.size:
        raise JobFailure(f"The {what} {str(place)!r} has no pixels: its width or its height is 0.")
    return numbers


def _convert(pixels: np.ndarray, channels: int, place: Path) -> np.ndarray:
    """Bring grey, RGB or planes to `(H, W, channels)`."""
    depth = 1 if pixels.ndim == 2 else pixels.shape[2]
    if depth == channels:
        return pixels.reshape(*pixels.shape[:2], channels)
    if depth == 3 and channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    if depth == 1 and channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if depth in (1, 3):
        told = f"is one file, which gives 1 or 3 channels, but {channels} are expected"
    else:
        told = f"has {depth} pages of one size, which are read as planes, but {channels} channels are expected; "
        told += "name one page behind the file's name: #page=0"
    raise JobFailure(f"The image {str(place)!r} {told}.")


def _single_value(values: np.ndarray, place: Path) -> np.ndarray:
    if (values[..., 0] != values[..., 1]).any() or (values[..., 0] != values[..., 2]).any():
        raise JobFailure(
            f"The mask {str(place)!r} is coloured; one value per pixel, grey or a palette index, is expected."
        )
    return values[..., 0]


def _whole_numbers(values: np.ndarray, place: Path) -> np.ndarray:
    if not np.isfinite(values).all():
        raise JobFailure(f"The mask {str(place)!r} holds values that are no numbers; class indexes are expected.")
    if (values == np.rint(values)).all() and np.abs(values).max(initial=0) < 2**31:
        return values.astype(np.int32)
    if values.min() >= 0 and values.max() <= 1:
        return np.rint(values * 255).astype(np.uint8)
    wrong = float(values[values != np.rint(values)].flat[0]) if (values != np.rint(values)).any() else values.max()
    raise JobFailure(f"The mask {str(place)!r} holds the value {wrong:g}; whole numbers are expected.")


def _distinct(values: np.ndarray) -> list[int]:
    """Return the values that occur, in rising order."""
    if values.dtype == np.uint8:
        return np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist()
    return np.unique(values).tolist()


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
