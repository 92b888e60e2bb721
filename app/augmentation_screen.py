"""What the commands for augmentation texts read and show."""

from pathlib import Path

from app.augment.parser import LONGEST_TEXT, parse, to_text
from app.errors import AugmentationError, InvalidInput

MOST_BYTES_PER_CHARACTER = 4


def read_text(path: Path) -> str:
    """Read a text; what is no UTF-8 is of no harm in a comment, and found by the parser elsewhere.

    Raises:
        InvalidInput: for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES_PER_CHARACTER * (LONGEST_TEXT + 1))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    return content.decode("utf-8", errors="replace")


def checked(text: str) -> tuple[bool, str]:
    """Tell whether a text is sound, with its canonical form or with every problem and the line that has it."""
    try:
        return True, to_text(parse(text))
    except AugmentationError as error:
        return False, told(error)


def told(error: AugmentationError) -> str:
    """Return every problem with its line, a caret under the place, and how many there are."""
    count = len(error.problems)
    blocks = []
    for problem in error.problems:
        shown = (problem.excerpt or "").split("\n")
        blocks.append("\n".join([str(problem), *(f"    {line}".rstrip() for line in shown)]))
    return "\n".join(blocks) + f"\n{count} problem{'s' * (count > 1)}\n"
