"""Every record of a storage folder, read file by file, so that one that is damaged hides no other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from app.errors import StorageUnavailable
from app.forms import fault_in
from app.repositories.content import parsed, read_text
from app.repositories.database import Database
from app.repositories.ids import Notes
from app.repositories.placement import Placement
from app.repositories.table import NOTES
from app.upkeep.finding import Finding, leftover

MOST_MISSING = 100  # that are told: the name of a file may hold any number
LARGE_FIELDS = ("settings",)
CORRECT = "Correct it, or put it back from a backup; the service never overwrites it."


@dataclass
class Stored:
    """What the tables hold, without what takes much room.

    Attributes:
        records: by table and id.
        unread: the tables of which a part or a record could not be read: what they lack may yet be there.
    """

    records: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def has(self, name: str, record_id: Any) -> bool:
        """Tell whether a table has a record, or may have one in a file that could not be read."""
        return name in self.unread or record_id in self.records[name]


def read_stored(database: Database, root: Path) -> tuple[Stored, list[Finding]]:
    """Read every table; return its records and what is wrong with its files."""
    stored, findings = Stored(), []
    for name, repository in database.tables().items():
        placement, records = repository.placement, stored.records.setdefault(name, {})
        found = placement.present()
        missing = (number for number in range(1, max(found, default=1) + 1) if number not in found)
        for number in sorted({*found, *islice(missing, MOST_MISSING)}):
            path = placement.path(number)
            try:
                tables = parsed(path, read_text(path)[0], name, placement.ids(number))
            except StorageUnavailable as error:
                stored.unread.add(name)
                findings.append(Finding(str(path.relative_to(root)), error.message, CORRECT))
            else:
                table = tables.get(name, {})
                faults = {key: fault for key, record in table.items() if (fault := fault_in(record, repository.form))}
                if faults:
                    stored.unread.add(name)
                place = str(path.relative_to(root))
                if fault := fault_in(tables.get(NOTES, {}), dict[int, Notes]):
                    findings.append(Finding(place, f"{NOTES}: {fault}.", CORRECT))
                findings += (Finding(place, f"Record {key}: {fault}.", CORRECT) for key, fault in faults.items())
                records.update(_records({key: record for key, record in table.items() if key not in faults}))
        findings += _stray_files(root, placement)
    return stored, findings


def _records(table: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    for key, record in table.items():
        yield int(key), {name: value for name, value in record.items() if name not in LARGE_FIELDS}


def _stray_files(root: Path, placement: Placement) -> Iterator[Finding]:
    if placement.temporary.exists():
        yield leftover(root, placement.temporary, "A writer was killed while it wrote this.")
    if placement.is_parted and placement.parts.is_dir():
        own = {placement.path(number).name for number in placement.present()}
        for path in sorted(placement.parts.glob("*.json")):
            if path.name not in own:
                ids = placement.ids(1)
                fault = f"The service does not read a file of this name: {ids[0]}-{ids[-1]}.json is one that it reads."
                yield Finding(
                    str(path.relative_to(root)), fault, "Move its records where they belong, or the file away."
                )
