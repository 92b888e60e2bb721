"""Where the records of a table lie: in one file, or in a folder of files that each hold some successive ids."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from app.files import unavailable
from app.repositories.content import Stamp, stamp_in, stamp_of

PART_NAME = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)\.json")
EVERY_ID = range(1, 10**18)


@dataclass(frozen=True)
class Placement:
    """The files of a table. Part 1 holds the first ids, part 2 the next ones, and so on.

    Attributes:
        folder: of all tables.
        name: of the table.
        part_size: how many ids a part is for; None for a table that hardly grows: it is a file, its only part.
    """

    folder: Path
    name: str
    part_size: int | None

    @property
    def is_parted(self) -> bool:
        return self.part_size is not None

    @property
    def single(self) -> Path:
        """The file of a table that is not parted."""
        return self.folder / f"{self.name}.json"

    @property
    def parts(self) -> Path:
        """The folder of a table that is parted."""
        return self.folder / self.name

    @property
    def lock(self) -> Path:
        return self.folder / (f"{self.name}.lock" if self.is_parted else f"{self.name}.json.lock")

    @property
    def changes(self) -> Path:
        return self.parts / ".changes"

    @property
    def temporary(self) -> Path:
        """What the one writer that holds the lock writes, before it takes the place of a part."""
        return self.parts / ".next.tmp" if self.is_parted else self.folder / f".{self.name}.json.tmp"

    def part_of(self, record_id: int) -> int:
        """Return the number of the part in which a record lies."""
        return (record_id - 1) // self.part_size + 1 if self.part_size else 1

    def ids(self, number: int) -> range:
        """Return the ids that may lie in a part."""
        if not self.part_size:
            return EVERY_ID
        return range((number - 1) * self.part_size + 1, number * self.part_size + 1)

    def path(self, number: int) -> Path:
        """Return the file of a part."""
        if not self.is_parted:
            return self.single
        ids = self.ids(number)
        return self.parts / f"{ids[0]}-{ids[-1]}.json"

    def present(self) -> dict[int, Stamp]:
        """Return the stamps of the parts that have a file, by their numbers."""
        if not self.is_parted:
            stamp = stamp_of(self.single)
            return {1: stamp} if stamp else {}
        found = {}
        try:
            with os.scandir(self.parts) as entries:
                for entry in entries:
                    if number := self._number(entry.name):
                        found[number] = stamp_in(entry.stat())
        except FileNotFoundError:  # reading what is needed will say so
            pass
        except OSError as error:
            raise unavailable(Path(error.filename or self.parts), "read", error) from error
        return dict(sorted(found.items()))

    def _number(self, file_name: str) -> int | None:
        match = PART_NAME.fullmatch(file_name)
        if match is None:
            return None
        ids = self.ids(number := self.part_of(int(match[1])))
        return number if (int(match[1]), int(match[2])) == (ids[0], ids[-1]) else None
