"""Files that are whole or absent, whenever their writer dies."""

import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.errors import StorageDamaged, StorageFull, StorageUnavailable
from app.forms import fault_in

JSON_FORM = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
TEMPORARY_SUFFIX = ".tmp"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # Python itself knows no syncfs


def write_atomically(path: Path, content: bytes, temporary: Path | None = None) -> None:
    """Replace the file by this content, so that a reader sees the old one or the new one and never a part.

    When it returns, the content is on the disk. The folder has to exist.

    Args:
        path: of the file.
        content: of the file from now on.
        temporary: what is written first, for a caller beside whom no other writes it; by default a new name.

    Raises:
        StorageUnavailable: naming the file and the system's reason; the file is then still whole and nothing is left
            beside it.
    """
    with replacing(path, temporary) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """Replace the file by what is written here, as `write_atomically` does, for content that memory need not hold.

    An exception leaves the old file as it is.

    Raises:
        StorageUnavailable: as `write_atomically`.
    """
    temporary = temporary or path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        mode = _mode_of(path)
        with temporary.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unavailable(path, "written", error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: Path, value: Any, temporary: Path | None = None) -> None:
    """Replace the file by this value as indented JSON; the keys of every mapping have to be texts.

    Raises:
        StorageUnavailable: as `write_atomically`.
        TypeError: for a value that JSON cannot hold; nothing is written then.
    """
    write_atomically(path, orjson.dumps(value, option=JSON_FORM), temporary)


def read_json(path: Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        FileNotFoundError: the caller knows what an absent file means.
        StorageUnavailable: naming the file, if it cannot be read.
        StorageDamaged: naming the file and the fault, if it holds no JSON.
    """
    return parse_json(path, read_content(path))


def read_content(path: Path, tries: int = 3) -> bytes:
    """Return what is in a file; one on NFS that another machine replaces just now is stale, and is opened anew.

    Raises:
        FileNotFoundError: the caller knows what an absent file means.
        StorageUnavailable: naming the file, if it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ESTALE and tries > 1:
            return read_content(path, tries - 1)
        raise unavailable(path, "read", error) from error


def read_object(path: Path, form: Any) -> Any:
    """Return the value in a JSON file, which has this form (see `app.forms`) for certain; raises as `read_json`."""
    value = read_json(path)
    if fault := fault_in(value, form):
        raise damaged(path, f"has a fault: {fault}")
    return value


def parse_json(path: Path, content: bytes) -> Any:
    """Return the value of the JSON text that was read from this file.

    Raises:
        StorageDamaged: naming the file and the place of the fault.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise damaged(path, f"holds no valid JSON ({place})") from error


def remove_temporaries(path: Path) -> None:
    """Remove what killed writers of this file left; only for a caller beside whom no other writes the file."""
    for temporary in path.parent.glob(f".{escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):  # they only take up room
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk: only then is a replaced file safe from a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Wait until what was appended to a file is on the disk.

    Raises:
        StorageUnavailable: if it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unavailable(path, "written", error) from error


def sync_disk(folder: Path) -> None:
    """Wait until all that was written on the disk of this folder is there: for ten thousand new files one wait.

    Raises:
        StorageUnavailable: if it cannot be written.
    """
    if _libc is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise unavailable(folder, "written", OSError(number, os.strerror(number)))
    finally:
        os.close(descriptor)


def unavailable(path: Path, verb: str, error: OSError) -> StorageUnavailable:
    """Return the error that says that a file cannot be `read`, `written`, ... and why."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    kind = StorageFull if error.errno in NO_ROOM else StorageUnavailable
    return kind(f"{path} cannot be {verb} ({reason}); give it room and access, then try again.")


def damaged(path: Path, fault: str) -> StorageDamaged:
    """Return the error that says what is wrong with a file, in words that follow its name."""
    return StorageDamaged(f"The file {path} {fault}; correct it or restore a backup of it.")


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file that gets replaced: one that its owner made private stays private."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None
