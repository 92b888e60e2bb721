"""Unpack an archive that a user sent, without trusting a word of it.

Every member is judged before the first one is written, and what comes out is counted while it is written: the sizes in
an archive are claims.
"""

import gzip
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from app.datasets.places import same_anywhere
from app.errors import InvalidInput, TooLarge
from app.files import unavailable

ZIP, GZIP, TAR = "zip", "tar.gz", "tar"
MAGIC = ((b"PK\x03\x04", ZIP), (b"PK\x05\x06", ZIP), (b"\x1f\x8b", GZIP))
OTHER_MAGIC = ((b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"), (b"\xfd7zXZ", "xz"), (b"BZh", "bz2"))
TAR_MAGIC, TAR_MAGIC_START = b"ustar", 257
BLOCK_BYTES = 512
CHUNK_BYTES = 1024**2

MOST_PART_BYTES = 255  # what file systems take for one name
MOST_PATH_BYTES = 1024
DIRECTORY_ENTRY_BYTES = 256  # of one member, with a long name, in the directory at the end of a zip
FREE_BYTES = 16 * 1024**2  # below it nobody asks how well an archive was compressed: masks shrink a thousandfold
DRIVE = re.compile(r"[A-Za-z]:")
JUNK = re.compile(r"(^|/)(__MACOSX(/|$)|\._|\.DS_Store$|Thumbs\.db$)")

DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError)


@dataclass(frozen=True)
class Limits:
    """The most that comes out of an archive: bytes, files, and bytes for each byte of the archive itself."""

    most_bytes: int
    most_files: int
    most_ratio: int

    def check_bytes(self, unpacked: int, packed: int) -> None:
        """Make sure that so many bytes may come out of an archive of that size.

        Raises:
            TooLarge: naming the limit.
        """
        if unpacked > self.most_bytes:
            raise TooLarge(
                f"The archive unpacks to more than {self.most_bytes:,} bytes, the most that is taken "
                "(the setting MAX_ARCHIVE_BYTES)."
            )
        if unpacked > FREE_BYTES and unpacked > packed * self.most_ratio:
            raise TooLarge(
                f"The archive unpacks to more than {self.most_ratio} times its own size, as a bomb does; "
                "send images in a format that is compressed itself, such as PNG (the setting MAX_ARCHIVE_RATIO)."
            )

    def check_files(self, count: int) -> None:
        """Make sure that an archive may have so many members."""
        if count > self.most_files:
            raise TooLarge(
                f"The archive has more than {self.most_files:,} members, the most that are taken "
                "(the setting MAX_ARCHIVE_FILES)."
            )


@dataclass(frozen=True)
class Member:
    """One file of an archive: its path inside, the size that it claims to have, and how to read it."""

    path: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes] | None]]


def kind_of(file: BinaryIO) -> str | None:
    """Return `zip`, `tar.gz` or `tar` by the first bytes of a file; None for a file that is no archive.

    Raises:
        InvalidInput: for an archive of another kind.
    """
    file.seek(0)
    head = file.read(BLOCK_BYTES)
    file.seek(0)
    for magic, name in OTHER_MAGIC:
        if head.startswith(magic):
            raise InvalidInput(f"This is a {name} archive; a zip, tar or tar.gz archive is expected.")
    if head[TAR_MAGIC_START:].startswith(TAR_MAGIC):
        return TAR
    return next((kind for magic, kind in MAGIC if head.startswith(magic)), None)


def extract(file: BinaryIO, kind: str, folder: Path, limits: Limits) -> None:
    """Unpack an archive into a folder that exists; what is there after an error is of no use.

    Raises:
        InvalidInput: naming the member that is absolute, leads out of the folder, is a link, a device or encrypted, or
            stands twice; or saying that the archive is damaged.
        TooLarge: if more would come out than the limits let pass.
        StorageUnavailable: when the folder cannot be written.
    """
    packed_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        with _opened(file, kind, folder, limits, packed_bytes) as members:
            _check_paths([member.path for member in members])
            limits.check_bytes(sum(member.size for member in members), packed_bytes)
            _write(members, folder, limits, packed_bytes)
    except DAMAGED as error:
        raise InvalidInput(f"The archive is damaged or cut off: {error}.") from error
    except OSError as error:
        raise unavailable(folder, "written", error) from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile's words for methods it does not know
        raise InvalidInput(f"The archive cannot be unpacked: {error}.") from error


def _opened(
    file: BinaryIO, kind: str, folder: Path, limits: Limits, packed_bytes: int
) -> AbstractContextManager[Sequence[Member]]:
    if kind == ZIP:
        return _zip_members(file, limits)
    return _tar_members(file, limits) if kind == TAR else _gzip_members(file, folder, limits, packed_bytes)


class _SmallReads:
    """A file that refuses to give much at once: what an archive says of itself is read in one piece, into memory."""

    def __init__(self, file: BinaryIO, most_bytes: int):
        self._file = file
        self._most_bytes = most_bytes
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size > self._most_bytes:
            raise TooLarge(f"The archive's own directory or a header takes {size:,} bytes, too much for the limits.")
        return self._file.read(size)

    def seekable(self) -> bool:
        return True


@contextmanager
def _zip_members(file: BinaryIO, limits: Limits) -> Iterator[Sequence[Member]]:
    most_bytes = max(limits.most_files * DIRECTORY_ENTRY_BYTES, 2 * CHUNK_BYTES)
    with zipfile.ZipFile(_SmallReads(file, most_bytes)) as archive:
        entries = archive.infolist()
        limits.check_files(len(entries))
        yield [member for entry in entries for member in _zip_member(archive, entry)]


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[Member]:
    """Yield the member, or nothing for a folder; both are judged."""
    path = _safe_path(entry.orig_filename)  # zipfile itself cuts a name off at a NUL
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(path, "is a link or a device; only files and folders are unpacked")
    if entry.flag_bits & 1:
        raise _refused(path, "is encrypted; send an archive without a password")
    if not entry.is_dir() and not JUNK.search(path):
        yield Member(path, entry.file_size, lambda: archive.open(entry))


@contextmanager
def _gzip_members(file: BinaryIO, folder: Path, limits: Limits, packed_bytes: int) -> Iterator[Sequence[Member]]:
    """Unzip the whole tar first: only then can its members be judged before one is written."""
    with gzip.open(file) as packed, tempfile.TemporaryFile(dir=folder) as plain:
        _copy(packed, plain, lambda written: limits.check_bytes(written, packed_bytes))
        plain.seek(0)
        with _tar_members(plain, limits) as members:
            yield members


@contextmanager
def _tar_members(file: BinaryIO, limits: Limits) -> Iterator[Sequence[Member]]:
    with tarfile.open(fileobj=_SmallReads(file, 2 * CHUNK_BYTES), mode="r:") as archive:  # type: ignore[call-overload]
        members: list[Member] = []
        for count, entry in enumerate(archive, start=1):
            limits.check_files(count)
            members += _tar_member(archive, entry)
        file.seek(archive.offset)
        if any(file.read(BLOCK_BYTES)):  # tarfile takes a broken header for the end
            raise tarfile.ReadError(f"there is no member at byte {archive.offset:,}")
        yield members


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[Member]:
    """Yield the member, or nothing for a folder; both are judged."""
    path = _safe_path(entry.name)
    if not (entry.isreg() or entry.isdir()) or entry.issparse():
        raise _refused(path, "is a link, a device or a file with holes; only files and folders are unpacked")
    if entry.size < 0:
        raise _refused(path, "is damaged: its size is negative")
    if entry.isreg() and not JUNK.search(path):
        yield Member(path, entry.size, lambda: archive.extractfile(entry))  # type: ignore[arg-type, return-value]


def _safe_path(name: str) -> str:
    """Return a member's path in plain form, separated by `/`.

    Raises:
        InvalidInput: for one that does not stay inside the folder, or that no file can have.
    """
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or DRIVE.match(path):
        raise _refused(name, "is an absolute path; paths inside of the archive are expected")
    if ".." in parts:
        raise _refused(name, "leads out of its folder by `..`")
    if not path.isprintable() or len(path.encode(errors="replace")) > MOST_PATH_BYTES:
        raise _refused(name, f"has a name with control characters or of more than {MOST_PATH_BYTES} bytes")
    if any(len(part.encode()) > MOST_PART_BYTES for part in parts):
        raise _refused(name, f"has a name of more than {MOST_PART_BYTES} bytes")
    return "/".join(parts)


def _check_paths(paths: Sequence[str]) -> None:
    """Make sure that no two members would be one file, on file systems that ignore case too."""
    seen: dict[str, str] = {}
    for path in paths:
        key = same_anywhere(path)
        if key in seen:
            raise _refused(path, f"and {seen[key]!r} are one file on many systems; rename one of the two")
        seen[key] = path
    for path in paths:
        for folder in PurePosixPath(path).parents:
            if same_anywhere(str(folder)) in seen:
                raise _refused(path, f"lies in {str(folder)!r}, which is a file")


def _write(members: Sequence[Member], folder: Path, limits: Limits, packed_bytes: int) -> None:
    total = 0

    def check(written: int) -> None:
        limits.check_bytes(total + written, packed_bytes)

    for member in members:
        target = folder / member.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, target.open("xb") as copy:
                assert source is not None  # only for what is no file
                total += _copy(source, copy, check)
        except DAMAGED as error:
            raise _refused(member.path, f"is damaged or cut off: {error}") from error
        except OSError as error:
            raise unavailable(target, "written", error) from error


def _copy(source: IO[bytes] | gzip.GzipFile, target: IO[bytes], check: Callable[[int], None]) -> int:
    """Copy a file in pieces; `check` is told before each how much there is by then. Return the number of bytes."""
    written = 0
    while chunk := source.read(CHUNK_BYTES):
        written += len(chunk)
        check(written)
        target.write(chunk)
    return written


def _refused(member: str, fault: str) -> InvalidInput:
    return InvalidInput(f"The member {member[:200]!r} of the archive {fault}.")
