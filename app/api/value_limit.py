"""How many values a request may hold."""

from app.errors import TooLarge

MOST_VALUES = 10_000


def refuse_many_values(content: bytes, separator: bytes = b",") -> None:
    """Refuse a body, or a text in it, whose values would take 30 times its size in memory, and the answer twice.

    The largest body that is of use is one value: an image.

    Raises:
        TooLarge: there are too many separators in it.
    """
    if content.count(separator) >= MOST_VALUES:
        raise TooLarge(f"The body has more than {MOST_VALUES:,} values; /backend/docs shows what this operation takes.")
