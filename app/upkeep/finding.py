"""What is wrong in a storage folder, and how it is mended."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.errors import StorageUnavailable

LOST_AND_FOUND = "lost+found"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        place: of it, below the storage folder.
        fault: one sentence that says what is wrong.
        advice: one sentence that says how a person mends it.
        mend: does what is safe to do without a person; None where a person has to decide.
    """

    place: str
    fault: str
    advice: str
    mend: Callable[[], object] | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.fault} {self.advice}"


def leftover(root: Path, path: Path, fault: str) -> Finding:
    """Return the finding of something that nothing refers to; mending keeps it, but out of the way."""
    place = str(path.relative_to(root))
    advice = f"Nothing needs it; --repair moves it into {LOST_AND_FOUND}/, where you may look at it and delete it."
    return Finding(place, fault, advice, lambda: _move_aside(root, path))


def faulty_file(root: Path, path: Path, read: Callable[[], object], advice: str) -> Iterator[Finding]:
    """Yield the finding of a file that cannot be read; one that is not there is none."""
    try:
        read()
    except FileNotFoundError:
        return
    except StorageUnavailable as error:
        yield Finding(str(path.relative_to(root)), error.message, advice)


def _move_aside(root: Path, path: Path) -> None:
    target = root / LOST_AND_FOUND / time.strftime("%Y-%m-%d_%H.%M.%S") / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
