"""One line for every request that changes something: who, what, and what became of it."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from app.repositories.locking import FileLock

FILE_BYTES = 16 * 1024**2
OLDER_FILES = 20
LONGEST_TEXT = 300
SECONDS_OF_A_LINE = 0.01  # that is being written


class AuditLog:
    """Lines of JSON in `audit.log`; when that is full it becomes `audit.log.1`, and the oldest file goes.

    Any number of processes write at the same time: each line is one append. What a line says is escaped to ASCII, so
    nothing that a client sends breaks a line or steers the terminal of the person who reads it.
    """

    def __init__(self, path: Path, file_bytes: int = FILE_BYTES):
        self.path = path
        self._file_bytes = file_bytes
        self._turning = FileLock(path.with_name(f".{path.name}.lock"))

    def write(self, **told: str | int | None) -> None:
        """Append a line with the time and these.

        Raises:
            OSError: if the file cannot be written.
        """
        short = {name: value[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in told.items()}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **short}
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(descriptor, _end_of_cut_line(descriptor) + json.dumps(line).encode() + b"\n")
            is_full = os.fstat(descriptor).st_size >= self._file_bytes
        finally:
            os.close(descriptor)
        if is_full:
            self._turn()

    def _turn(self) -> None:
        with self._turning.hold():
            if not self.path.exists() or self.path.stat().st_size < self._file_bytes:
                return  # another one was first
            for number in range(OLDER_FILES - 1, 0, -1):
                if self._older(number).exists():
                    self._older(number).replace(self._older(number + 1))
            self.path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _end_of_cut_line(descriptor: int) -> bytes:
    """Return a line feed where the last line lacks its own: a disk that was full has cut it.

    It may also be one that another process writes at this moment, and then grows.
    """
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return b""
    time.sleep(SECONDS_OF_A_LINE)
    return b"\n" if os.fstat(descriptor).st_size == size else b""
