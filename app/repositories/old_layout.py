"""Tables come into being whole; one of an earlier version, which was a single file, becomes a folder of parts."""

import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.files import remove_temporaries, sync_folder, unavailable, write_json
from app.repositories.content import Tables, parsed, read_text
from app.repositories.locking import FileLock
from app.repositories.placement import EVERY_ID, Placement
from app.repositories.table import NOTES, ONLY_NOTE


def prepare(placement: Placement) -> None:
    """Make the table if it is absent. From then on the absence of a file is an error and not an empty table.

    Raises:
        StorageUnavailable: if it cannot be made; whatever was there before is still there then.
    """
    try:
        placement.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(placement.lock).hold():
            remove_temporaries(placement.single)
            if placement.is_parted:
                _prepare_parts(placement)
            elif not placement.single.exists():
                write_json(placement.single, {})
    except OSError as error:
        raise unavailable(placement.folder, "made", error) from error


def _prepare_parts(placement: Placement) -> None:
    """Put the folder of parts in place at once, and only then the single file aside: a killed start is repeated."""
    single = placement.single
    if not placement.parts.exists():
        tables: Tables = {}
        if single.exists():
            tables = parsed(single, read_text(single)[0], placement.name, EVERY_ID)
        unfinished = placement.folder / f".{placement.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _write_parts(placement, tables, unfinished)
        (unfinished / placement.changes.name).touch()
        unfinished.rename(placement.parts)
        sync_folder(placement.folder)
    if single.exists():
        single.replace(single.with_name(f"{single.name}.old"))
        sync_folder(placement.folder)


def _write_parts(placement: Placement, tables: Tables, folder: Path) -> None:
    parts = _divided(placement, tables)
    for number in range(1, max(parts, default=1) + 1):
        write_json(folder / placement.path(number).name, parts.get(number, {}))


def _divided(placement: Placement, tables: Tables) -> Mapping[int, Tables]:
    """Return the tables of each part: its records, and the notes of the ids that belong to it."""
    records: dict[int, dict[str, Any]] = defaultdict(dict)
    for key, record in sorted(tables.get(placement.name, {}).items(), key=lambda item: int(item[0])):
        records[placement.part_of(int(key))][key] = record
    noted = tables.get(NOTES, {}).get(str(ONLY_NOTE), {})
    notes: dict[int, dict[str, Any]] = defaultdict(dict)
    for record_id in noted.get("seeded_ids", []):
        notes[placement.part_of(record_id)].setdefault("seeded_ids", []).append(record_id)
    if noted.get("last_id"):
        notes[placement.part_of(noted["last_id"])]["last_id"] = noted["last_id"]
    return {
        number: ({NOTES: {str(ONLY_NOTE): notes[number]}} if number in notes else {})
        | ({placement.name: records[number]} if number in records else {})
        for number in {*records, *notes}
    }
