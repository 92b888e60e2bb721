"""Which storage folder this is: what web and workers on several machines see has to be the same one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.files import unavailable

FILE_NAME = "storage.id"
TEXT_BYTES = 32


def make_identity(root: Path) -> str:
    """Give the folder an identity unless it has one, and return that."""
    path = root / FILE_NAME
    if (found := read_identity(root)) is not None:
        return found
    draft = root / f".{FILE_NAME}.{secrets.token_hex(8)}.tmp"
    try:
        draft.write_text(secrets.token_hex(TEXT_BYTES // 2) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)  # whole or not at all, and the first of several wins
        return path.read_text().strip()
    except OSError as error:
        raise unavailable(path, "made", error) from error
    finally:
        draft.unlink(missing_ok=True)


def read_identity(root: Path) -> str | None:
    """Return the identity of the folder; None for one that no service has used, or that is not mounted."""
    try:
        return (root / FILE_NAME).read_text("ascii", "replace").strip() or None
    except OSError:
        return None
