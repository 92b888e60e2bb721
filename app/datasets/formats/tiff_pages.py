"""The pages of a TIFF, decoded by Pillow, or by tifffile where Pillow does not know the numbers, or mixes them up."""

import zlib
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from app.datasets.formats.stored_values import stored_values
from app.datasets.probe import ImageHeader, header_of, refuse_too_large
from app.errors import JobFailure

BITS, PLANES, TILE_WIDTH, TILE_HEIGHT, NUMBER_KIND, ORIENTATION = 258, 284, 322, 323, 339, 274
UNSIGNED, SIGNED, APART = 1, 2, 2
UNPACKED, DEFLATED = (1,), (8, 32946)
COLOUR_MODES = frozenset(["P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"])
MOST_SAMPLES = 4  # of a pixel
SLACK_BYTES = 1024**2


class Pages(Protocol):
    """What both readers offer; pages are counted from 0."""

    count: int

    def header(self, page: int) -> ImageHeader:
        """Return what a page says of itself."""

    def check(self, page: int, max_pixels: int) -> None:
        """Judge what a page would take to decode; raises JobFailure."""

    def numbers(self, page: int) -> np.ndarray:
        """Return a page upright: `(H, W)` grey numbers or `(H, W, 3)` colours, without alpha."""

    def stored(self, page: int) -> np.ndarray:
        """Return a page as a mask, indexes of a palette included."""


def open_pages(path: Path, file: BinaryIO, *, is_windowed: bool) -> Pages:
    """Choose the reader.

    Args:
        path: what the file is called.
        file: the file, opened.
        is_windowed: whether 16 bits of a colour are needed, of which Pillow keeps the upper 8.
    """
    try:
        image = Image.open(file, formats=["TIFF"])  # by its path, Pillow 13 forgets to turn a page that it maps
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
    except UnidentifiedImageError:
        return NumberPages(path, file)
    return NumberPages(path, file) if _is_mixed_up(image, is_windowed) else PicturePages(path, image)


class PicturePages:
    """Pages that Pillow decodes."""

    def __init__(self, path: Path, image: TiffImagePlugin.TiffImageFile):
        self._path = path
        self._image = image
        self.count = image.n_frames

    def header(self, page: int) -> ImageHeader:
        return header_of(self._at(page))

    def check(self, page: int, max_pixels: int) -> None:
        image = self._at(page)
        tile = [int(image.tag_v2.get(tag, 0)) for tag in (TILE_WIDTH, TILE_HEIGHT)]
        refuse_too_large(self._path, max(image.width, tile[0]), max(image.height, tile[1]), max_pixels)

    def numbers(self, page: int) -> np.ndarray:
        upright = ImageOps.exif_transpose(self._at(page))
        if upright.mode in COLOUR_MODES:
            upright = upright.convert("RGB")
        numbers = np.asarray(upright)
        return numbers[..., 0] if upright.mode == "LA" else numbers

    def stored(self, page: int) -> np.ndarray:
        return stored_values(self._at(page))

    def _at(self, page: int) -> TiffImagePlugin.TiffImageFile:
        self._image.seek(page)
        return self._image


class NumberPages:
    """Pages that tifffile decodes: floats of 16 and 64 bits, unsigned 32 bits, channels stored apart, and the like."""

    def __init__(self, path: Path, file: BinaryIO):
        from tifffile import TiffFile  # here, as the web process reads headers of common files only

        self._path = path
        self._file = file
        file.seek(0)
        self._tiff = TiffFile(file)
        self.count = len(self._tiff.pages)

    def header(self, page: int) -> ImageHeader:
        found = self._at(page)
        return ImageHeader(found.imagewidth, found.imagelength, _channels(found), int(found.bitspersample))

    def check(self, page: int, max_pixels: int) -> None:
        found = self._at(page)
        width, height = (max(found.imagewidth, found.tilewidth), max(found.imagelength, found.tilelength))
        refuse_too_large(self._path, width, height, max_pixels)
        kind = f"{found.bitspersample}-bit numbers packed as {getattr(found.compression, 'name', found.compression)}"
        if found.dtype is None or found.compression not in UNPACKED + DEFLATED:
            told = "which are not read; store them without compression"
            raise JobFailure(f"The image {str(self._path)!r} holds {kind}, {told}.")
        if found.samplesperpixel > MOST_SAMPLES or found.imagedepth > 1 or _is_turned(found):
            raise JobFailure(f"The image {str(self._path)!r} is of a kind of TIFF that is not read.")
        self._check_segments(found)

    def numbers(self, page: int) -> np.ndarray:
        found = self._at(page)
        pixels = found.asarray()
        if found.samplesperpixel > 1 and found.planarconfig == APART:
            pixels = np.moveaxis(pixels, 0, -1)
        if found.photometric.name == "MINISWHITE":
            pixels = np.iinfo(pixels.dtype).max - pixels
        if found.photometric.name == "PALETTE":
            return (np.moveaxis(found.colormap, 0, -1)[pixels] >> 8).astype(np.uint8)
        if pixels.ndim == 2:
            return pixels
        return pixels[..., :3] if _channels(found) == 3 else pixels[..., 0]

    def stored(self, page: int) -> np.ndarray:
        return self.numbers(page)

    def _at(self, page: int) -> Any:
        return self._tiff.pages[page]

    def _check_segments(self, found: Any) -> None:
        """Inflate each strip or tile as far as it may go: tifffile would unpack a bomb whole."""
        limit = int(np.prod(found.chunks)) * found.dtype.itemsize + SLACK_BYTES
        for offset, count in zip(found.dataoffsets, found.databytecounts, strict=True):
            inflate = zlib.decompressobj()
            if count <= limit and found.compression in DEFLATED:
                self._file.seek(offset)
                inflate.decompress(self._file.read(count), limit)
            if count > limit or inflate.unconsumed_tail:
                raise JobFailure(f"The image {str(self._path)!r} holds more than its {limit:,} bytes; it is damaged.")


def _is_mixed_up(image: TiffImagePlugin.TiffImageFile, is_windowed: bool) -> bool:
    """Tell whether Pillow would return other numbers than the page holds; it says nothing of it."""
    bits = image.tag_v2.get(BITS, (1,))
    kind = image.tag_v2.get(NUMBER_KIND, (UNSIGNED,))[0]
    is_deep_colour = len(bits) > 1 and bits[0] > 8
    return (
        (bits[0], kind) in ((32, UNSIGNED), (8, SIGNED))
        or (is_deep_colour and image.tag_v2.get(PLANES) == APART)
        or (is_deep_colour and is_windowed)
    )


def _channels(found: Any) -> int:
    return 3 if found.photometric.name == "PALETTE" or found.samplesperpixel - len(found.extrasamples) == 3 else 1


def _is_turned(found: Any) -> bool:
    tag = found.tags.get(ORIENTATION)
    return tag is not None and tag.value != 1
