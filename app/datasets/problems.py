"""Gather the faults of a dataset, so that all of them can be told at once."""

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice

from app.errors import DatasetError, Problem

LONGEST_BARE = 60
MOST_PROBLEMS = 1000  # a wrong class name in 100,000 lines would otherwise be an answer of many megabytes
MOST_HINTS = 50  # comparing a text with a thousand names takes milliseconds


class Problems:
    """The faults found so far in one dataset; `subject` is the file's or the dataset's name."""

    def __init__(self, subject: str):
        self._subject = subject
        self._problems: list[Problem] = []
        self._left_out = 0
        self._hints: dict[str, str] = {}

    def add(
        self, key: str, fault: str, line: int | None = None, meant: tuple[str, Collection[str]] | None = None
    ) -> None:
        """Note that the value of `key` has a fault.

        Args:
            key: where the fault is, such as `images[3].label`.
            fault: the rest of a sentence that begins with the key.
            line: the line in the file, from 1.
            meant: a text and the names that it could have been meant as; a hint is added.
        """
        if len(self._problems) == MOST_PROBLEMS:
            self._left_out += 1
            return
        hint = f" {self._hint(*meant)}" if meant else ""
        self._problems.append(Problem(f"{key} {fault}{hint}", line=line, key=key))

    def _hint(self, text: str, names: Collection[str]) -> str:
        if text not in self._hints:
            if len(self._hints) == MOST_HINTS:
                return names_shown(names)
            self._hints[text] = nearest(text, names)
        return self._hints[text]

    def raise_if_any(self) -> None:
        """Raise a DatasetError that lists the problems in the order of their lines."""
        if not self._problems:
            return
        problems = sorted(self._problems, key=lambda problem: problem.line or 0)
        if self._left_out:
            problems.append(Problem(f"{self._left_out} more problems are not listed."))
        raise DatasetError(problems, subject=self._subject)


def nearest(text: str, names: Collection[str]) -> str:
    """Return `did you mean 'x'?` for the nearest name, or the names that there are."""
    by_small_letters = {name.casefold(): name for name in islice(names, 1000)}
    close = get_close_matches(text[:100].casefold(), by_small_letters, n=1)
    return f"did you mean {shorten(by_small_letters[close[0]])}?" if close else names_shown(names)


def names_shown(names: Collection[str]) -> str:
    """Return a sentence with the first few of the names."""
    if not names:
        return "there is none."
    shown = ", ".join(bare(name) for name in islice(names, 10))
    return f"there are: {shown}{', ...' if len(names) > 10 else ''}."


def shorten(text: str, limit: int = 80) -> str:
    """Quote a text of the user's for a sentence."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def bare(name: str) -> str:
    """Put a name of the user's into a sentence without quotes, unless it could upset a terminal or the sentence."""
    return name if name.isprintable() and name.strip() and len(name) <= LONGEST_BARE else shorten(name, LONGEST_BARE)
