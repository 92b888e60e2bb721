"""Put a backup into an empty storage folder: all of it, checked, or nothing."""

import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from app.errors import Conflict, InvalidInput
from app.files import parse_json, unavailable
from app.forms import fault_in
from app.runs.layout import StorageLayout
from app.upkeep.archive import FORMAT, MANIFEST
from app.upkeep.relocation import relocate

STAGING = ".restoring"
FOLDERS = ("weights", "datasets", "runs", "unfinished", "db")  # the records last: with them it is a storage folder
CHUNK_BYTES = 1024**2
LEFT_OUT = re.compile(r"(weights|datasets|runs|unfinished)/[0-9a-f-]+")
FAULTY = (tarfile.TarError, EOFError, zlib.error)


class Manifest(TypedDict):
    """What the last member of a backup tells; `left_out` are folders that were deleted while they were copied."""

    files: dict[str, str]
    left_out: list[str]
    storage_dir: str


def restore(source: Path, root: Path) -> int:
    """Restore a backup and return the number of its files; the caller holds the storage folder.

    Raises:
        Conflict: for a storage folder that holds something.
        InvalidInput: for a file that is no backup, or a damaged one; the folder is as it was then.
        StorageUnavailable: when the storage cannot be written; the folder is as it was then.
    """
    staging = root / STAGING
    if staging.exists():  # a restore that was killed: what it had put in place came from a backup
        for name in () if (root / "db").exists() else FOLDERS:
            shutil.rmtree(root / name, ignore_errors=True)
        shutil.rmtree(staging)
    _refuse_used(root)
    try:
        staging.mkdir(parents=True)
        manifest = _unpack(source, staging)
        for place in manifest["left_out"]:
            _remove(staging / place)
        relocate(StorageLayout(staging), Path(manifest["storage_dir"]), root)
        _put_in_place(staging, root)
    except OSError as error:
        raise unavailable(Path(error.filename or root), "used", error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return len(manifest["files"])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _refuse_used(root: Path) -> None:
    used = [name for name in FOLDERS if (root / name).is_dir() and any((root / name).iterdir())]
    if used:
        raise Conflict(
            f"The storage folder {root} is not empty: it has {', '.join(used)}. Name another one with STORAGE_DIR, "
            "or move what is there away."
        )


def _unpack(source: Path, staging: Path) -> dict[str, Any]:
    """Unpack all members and return the manifest, whose hashes are those of what is on the disk now."""
    digests, manifest = {}, None
    try:
        with tarfile.open(source, "r:*") as tar:
            for member in tar:
                path = _place(source, member, staging)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                digests[member.name] = _write(tar, member, path)
        manifest = parse_json(source, (staging / MANIFEST).read_bytes()) if MANIFEST in digests else None
    except FAULTY as error:
        reason = str(error).partition(":")[0]  # the rest tells of every compression that was tried
        raise InvalidInput(f"{source} is no backup, or was cut off or damaged ({reason}); use another one.") from error
    _check(source, manifest, digests)
    (staging / MANIFEST).unlink()
    return manifest  # type: ignore[return-value]


def _place(source: Path, member: tarfile.TarInfo, staging: Path) -> Path:
    """Return where a member goes: in one of the folders of a storage, or beside them as a file."""
    parts = PurePosixPath(member.name).parts
    is_sound = bool(parts) and not member.name.startswith("/") and not {"..", "."} & set(parts)
    is_known = parts[:1] == (MANIFEST,) or (parts and (parts[0] in FOLDERS or parts[0].startswith("audit.log")))
    if not (is_sound and is_known and (member.isfile() or member.isdir())):
        raise InvalidInput(f"{source} is no backup of this service: it has the member {member.name[:80]!r}.")
    return staging.joinpath(*parts)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    digest = sha256()
    content = tar.extractfile(member)
    assert content is not None
    with path.open("xb") as file:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    path.chmod(member.mode & 0o777 | 0o600)
    os.utime(path, (member.mtime, member.mtime))
    return digest.hexdigest()


def _check(source: Path, manifest: Mapping | None, digests: dict[str, str]) -> None:
    if not isinstance(manifest, dict) or "files" not in manifest:
        raise InvalidInput(f"{source} is no backup, or was cut off: it has no {MANIFEST} at its end; use another one.")
    if manifest.get("format") != FORMAT:
        raise InvalidInput(f"{source} was made by another version of this service; restore it with that one.")
    fault = fault_in(manifest, Manifest)
    if fault is None and not all(map(LEFT_OUT.fullmatch, manifest["left_out"])):
        fault = "at left_out places such as weights/7 are expected"
    if fault:
        raise InvalidInput(f"{source} is no backup of this service: its {MANIFEST} has a fault: {fault}.")
    del digests[MANIFEST]
    if digests != manifest["files"]:
        names = sorted({*digests, *manifest["files"]})
        wrong = next(name for name in names if digests.get(name) != manifest["files"].get(name))
        raise InvalidInput(f"{source} is damaged: {wrong} in it is not what was backed up; use another one.")


def _put_in_place(staging: Path, root: Path) -> None:
    os.sync()  # what has been restored shall survive a power cut
    for path in staging.iterdir():
        if path.name not in FOLDERS:
            path.replace(root / path.name)
    for name in FOLDERS:
        if (staging / name).exists():
            if (root / name).exists():
                (root / name).rmdir()
            (staging / name).rename(root / name)
    os.sync()
