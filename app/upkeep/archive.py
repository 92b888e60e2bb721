"""A backup: a tar archive with the SHA-256 of each of its files in its last member."""

import io
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.files import replacing

MANIFEST = "manifest.json"
FORMAT = 1
QUICK = 1  # weights hardly become smaller, and texts do at once


class HashedFile(io.RawIOBase):
    """Reads a file, at most so many bytes, and adds up their hash."""

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self._left = size
        self.digest = sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._file.read(wanted)
        self._left -= len(content)
        self.digest.update(content)
        return content


class Archive:
    """Writes the members of a backup; each is read once."""

    def __init__(self, tar: tarfile.TarFile):
        self._tar = tar
        self.digests: dict[str, str] = {}

    def add_folder(self, name: str) -> None:
        """Add a folder, for one that is empty is needed too."""
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
        self._tar.addfile(member)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._add(name, io.BytesIO(content), len(content), time.time(), 0o644)

    def add_file(self, name: str, path: Path) -> bool:
        """Add a file as it is at this moment, and tell whether it was still there; what it grows by is left out."""
        try:
            with path.open("rb") as file:
                self.add_open_file(name, file)
        except FileNotFoundError:
            return False
        return True

    def add_open_file(self, name: str, file: BinaryIO) -> None:
        """Add a file that was opened, from its beginning, even if another has taken its place meanwhile."""
        file.seek(0)
        status = os.fstat(file.fileno())
        self._add(name, file, status.st_size, status.st_mtime, status.st_mode & 0o777)

    def finish(self, facts: dict[str, Any]) -> None:
        """Add the manifest."""
        content = orjson.dumps({"format": FORMAT, **facts, "files": self.digests}, option=orjson.OPT_INDENT_2)
        self._add(MANIFEST, io.BytesIO(content), len(content), time.time(), 0o644)

    def _add(self, name: str, file: BinaryIO | io.BytesIO, size: int, mtime: float, mode: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, mtime, mode
        hashed = HashedFile(file, size)
        self._tar.addfile(member, hashed)
        self.digests[name] = hashed.digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[Archive]:
    """Make an archive that is whole or absent; a name that ends in gz makes it a compressed one."""
    is_compressed = path.suffix in (".gz", ".tgz")
    with replacing(path) as file:
        if is_compressed:
            with tarfile.open(mode="w:gz", fileobj=file, compresslevel=QUICK, format=tarfile.PAX_FORMAT) as tar:
                yield Archive(tar)
        else:
            with tarfile.open(mode="w", fileobj=file, format=tarfile.PAX_FORMAT) as tar:
                yield Archive(tar)
