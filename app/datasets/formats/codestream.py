"""Read from the start of a compressed picture, JPEG, JPEG-LS or JPEG 2000, what size its decoder will make room for."""

import struct

JPEG_START = b"\xff\xd8"
JPEG_2000_START = b"\xff\x4f\xff\x51"
JPEG_2000_BOX = b"\x00\x00\x00\x0cjP  "
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
SPECIAL_MARKERS = FRAME_MARKERS | {0x01, *range(0xD0, 0xD9), 0xFF}  # the others are followed by their length


def codestream_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height, or None if the kind is another or the start is damaged."""
    try:
        if content.startswith(JPEG_START):
            return jpeg_size(content)
        if content.startswith(JPEG_2000_BOX):
            content = content[content.index(JPEG_2000_START) :]
        if content.startswith(JPEG_2000_START):
            right, bottom, left, top = struct.unpack_from(">4I", content, 8)
            return right - left, bottom - top
    except (ValueError, IndexError, struct.error):
        return None
    return None


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Go from segment to segment up to the one that begins a frame; None if the file is damaged before it.

    For small images this takes as long as decoding: the tests are in the order of what is met most often.
    """
    at, end = 2, len(content) - 9
    while at < end and content[at] == 0xFF:
        marker = content[at + 1]
        if marker not in SPECIAL_MARKERS:
            at += 2 + (content[at + 2] << 8 | content[at + 3])
        elif marker in FRAME_MARKERS:
            return content[at + 7] << 8 | content[at + 8], content[at + 5] << 8 | content[at + 6]
        else:
            at += 1 if marker == 0xFF else 2
    return None
