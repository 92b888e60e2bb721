"""Which part of a file is meant: the `#slice=12&axis=2` behind its name."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from app.datasets.problems import nearest
from app.errors import JobFailure

WINDOW_KEYS = ("low", "high")


class Part:
    """The numbers of one part, by key; an empty text means the whole file.

    Raises:
        JobFailure: naming the place, if a key is unknown to the kind of file, repeated, or no number.
    """

    __slots__ = ("_numbers", "_path", "_text")

    def __init__(self, path: Path, text: str, allowed: Sequence[str]):
        self._path = path
        self._text = text
        self._numbers: dict[str, float] = {}
        for piece in text.removeprefix("#").split("&") if text else ():
            key, _, value = piece.partition("=")
            if key not in allowed:
                raise self.fault(f"has no {key!r}; {nearest(key, allowed)}")
            if key in self._numbers:
                raise self.fault(f"gives {key!r} twice; keep one of the two")
            self._numbers[key] = self._number(key, value)

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def index(self, key: str, count: int, default: int | None = None) -> int:
        """Return a whole number from 0 to `count` - 1."""
        value = self.whole(key, default)
        if not 0 <= value < count:
            raise self.fault(f"has no {key} {value}: there are {count}, counted from 0")
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number; without a default the key has to be there."""
        value = self._numbers.get(key, default)
        if value is None:
            raise self.fault(f"does not say its {key}; write #{key}=0 behind the file's name")
        if value != int(value):
            raise self.fault(f"has the {key} {value}; a whole number is expected")
        return int(value)

    def window(self) -> tuple[float, float] | None:
        """Return the values that become 0 and 255, if the part names them."""
        if not self._numbers or not any(key in self._numbers for key in WINDOW_KEYS):
            return None
        if not all(key in self._numbers for key in WINDOW_KEYS):
            raise self.fault("gives one end of a window; both are expected: #low=-160&high=240")
        low, high = (self._numbers[key] for key in WINDOW_KEYS)
        if low >= high:
            raise self.fault(f"has a window from {low:g} to {high:g}; low has to be below high")
        return low, high

    def fault(self, sentence: str) -> JobFailure:
        """Return the error that says what is wrong with this place."""
        place = f"{self._path}{self._text}"
        return JobFailure(f"The image {place!r} {sentence.rstrip('.')}{'' if sentence.endswith('?') else '.'}")

    def _number(self, key: str, value: str) -> float:
        try:
            number = float(value)
        except ValueError as error:
            raise self.fault(f"has the {key} {value[:40]!r}; a number is expected") from error
        if not isfinite(number):
            raise self.fault(f"has the {key} {value[:40]!r}; a number is expected")
        return number
