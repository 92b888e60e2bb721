"""Which parts of a table have changed lately, so that the processes that serve it need not look at every file."""

import errno
import os
from pathlib import Path

from app.files import unavailable

ENTRY_BYTES = 8
LARGEST_BYTES = 1024**2


class Changes:
    """A file to which every writer adds the number of a part before it replaces that part.

    It only spares work: whoever finds it gone, or a new one in its place, looks at every part. The last entry tells
    nothing of when its writer is done, or whether it was killed, so that part is looked at until the next entry.
    """

    def __init__(self, path: Path):
        self._path = path
        self._inode: int | None = None
        self._end = 0
        self._last: set[int] = set()

    def note(self, number: int) -> None:
        """Tell that a part is about to be replaced; the caller holds the table's lock.

        Raises:
            StorageUnavailable: when there is no room.
        """
        try:
            if self._size() >= LARGEST_BYTES:
                self._path.unlink()
            self._append(number.to_bytes(ENTRY_BYTES))
        except OSError as error:
            raise unavailable(self._path, "written", error) from error

    def since_last_time(self) -> set[int] | None:
        """Return the parts to look at; None when that is every one."""
        try:
            status = self._path.stat()
            if (status.st_ino, status.st_size) == (self._inode, self._end):
                return self._last
            return self._read()
        except OSError:
            self._inode = None
            return None

    def _read(self) -> set[int] | None:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            end = status.st_size - status.st_size % ENTRY_BYTES
            is_continued = status.st_ino == self._inode and end >= self._end
            file.seek(self._end if is_continued else max(0, end - ENTRY_BYTES))
            entries = file.read(end - file.tell())
        self._inode, self._end = status.st_ino, end
        numbers = [int.from_bytes(entries[at : at + ENTRY_BYTES]) for at in range(0, len(entries), ENTRY_BYTES)]
        earlier, self._last = self._last, set(numbers[-1:]) or self._last
        return earlier | set(numbers) if is_continued else None

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _append(self, entry: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if size % ENTRY_BYTES:  # a writer that found no room for the rest of its entry
                os.ftruncate(descriptor, size - size % ENTRY_BYTES)
            if os.write(descriptor, entry) != len(entry):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
