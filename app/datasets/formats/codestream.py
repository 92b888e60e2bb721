"""Read from the start of a compressed picture, JPEG, JPEG-LS or JPEG 2000, what size its decoder will make room for."""

import struct

JPEG_START = b"\xff\xd8"
JPEG_2000_START = b"\xff\x4f\xff\x51"
JPEG_2000_BOX = b"\x00\x00\x00\x0cjP  "
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD9)])


def codestream_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height, or None if the kind is another or the start is damaged."""
    try:
        if content.startswith(JPEG_START):
            return _jpeg_size(content)
        if content.startswith(JPEG_2000_BOX):
            content = content[content.index(JPEG_2000_START) :]
        if content.startswith(JPEG_2000_START):
            right, bottom, left, top = struct.unpack_from(">4I", content, 8)
            return right - left, bottom - top
    except (ValueError, IndexError, struct.error):
        return None
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Go from segment to segment up to the one that begins a frame."""
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">2H", content, at + 5)
            return width, height
        if marker == 0xFF:
            at += 1
        elif marker in BARE_MARKERS:
            at += 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return None
