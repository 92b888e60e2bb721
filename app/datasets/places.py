"""Where the files of a dataset lie, and where they may lie."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, urljoin

from app.errors import InvalidInput

URL = re.compile(r"https?://", re.IGNORECASE)
OTHER_SCHEME = re.compile(r"(?!https?://)([a-z][a-z0-9+.-]+://|data:image/)", re.IGNORECASE)
PART = re.compile(r"#[a-z]+=[^#/]*\Z")


def is_url(location: str) -> bool:
    return URL.match(location) is not None


def same_anywhere(path_text: str) -> str:
    """Return what is the same for paths that are the same on some file system."""
    return unicodedata.normalize("NFC", path_text).casefold()


def resolve(location: str, folder: Path | str) -> Path | str:
    """Return the place of a location: a path, or the text of a URL.

    Relative ones are relative to `folder`: that of the description, or the URL that the description came from. A part,
    such as the `#slice=12` of `scan.nii.gz#slice=12`, stays attached.
    """
    if is_url(location):
        return location
    if isinstance(folder, Path):
        return folder / location
    if location.startswith("/"):
        return Path(location)
    file, part = split_text(location)
    return urljoin(folder, quote(file)) + part


def split_text(location: str) -> tuple[str, str]:
    """Cut a location or URL into that of the file and the part of it that is meant: `#slice=12`, or nothing."""
    found = PART.search(location)
    return (location[: found.start()], found[0]) if found else (location, "")


def split_part(place: Path) -> tuple[Path, str]:
    """Cut a place into the file and the part of it that is meant; a file that is literally so named is meant whole."""
    file, part = split_text(place.name) if "#" in place.name else (place.name, "")
    if not part or not file or os.path.isfile(place):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        return place, ""
    return place.with_name(file), part


def is_folder(path: Path) -> bool:
    """Tell whether a path that need not be possible is a folder."""
    try:
        return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long
    except ValueError:
        return False


def why_no_file(path: Path) -> str | None:
    """Return what keeps a path from being read as a file, as `does not exist`; None for a file.

    To be asked before a file is opened: a pipe keeps its reader for ever, and a device never ends.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path would take twice as long
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be opened: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISREG(mode):
        return None
    return f"is a {'folder' if stat.S_ISDIR(mode) else 'pipe or a device'}, not an image"


def file_of(place: Path) -> Path:
    """Return the file that a place lies in: the place itself unless it names a part, as `scan.nii.gz#slice=12` does."""
    return split_part(place)[0]


def base_of(text: str) -> Path | str:
    """Return what relative locations are relative to from its stored text: a URL stays one, all else is a folder."""
    return text if is_url(text) else Path(text)


def as_described(message: str, place: Path, location: str) -> str:
    """Put the location as its owner's description has it where a sentence names the service's path of a file."""
    said = message.replace(str(place), location).replace(str(file_of(place)), split_text(location)[0])
    return said if split_text(location)[0] in said else f"{location!r}: {said}"


def inside_roots(path_text: str, roots: Iterable[Path], *, allow_folder: bool = False) -> Path:
    """Return the real path of an existing file that lies in one of the folders; a relative path may lie in any of them.

    Symbolic links are followed before the place is judged. Outside the folders nothing is said about what exists.

    Args:
        path_text: an absolute path, or one relative to any of the folders.
        roots: the folders.
        allow_folder: whether the path may be a folder too.

    Raises:
        InvalidInput: if the path lies outside, or is no file.
    """
    roots = tuple(roots)
    if not path_text.strip() or "\0" in path_text:
        raise InvalidInput("The path is empty or holds a NUL character; the path of a file is expected.")
    candidates = [path for path in _candidates(path_text, roots) if is_inside(path, roots)]
    if not candidates:
        shown = ", ".join(map(str, roots)) or "none"
        raise InvalidInput(
            f"{path_text[:200]!r} does not lie in a folder that is open to datasets ({shown}); "
            "copy it there, or name its folder in the setting DATA_ROOTS."
        )
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            return path
    for path in candidates if allow_folder else ():
        if os.path.isdir(path):  # noqa: PTH112 - likewise
            return path
    what = "is a folder, not a file" if os.path.isdir(candidates[0]) else "does not exist"  # noqa: PTH112 - likewise
    raise InvalidInput(f"{path_text[:200]!r} {what}.")


def is_inside(path: Path, roots: Iterable[Path]) -> bool:
    """Tell whether a path that is already resolved lies in one of the folders."""
    return any(path.is_relative_to(root.resolve()) for root in roots)


class PlaceCheck:
    """Says of many paths whether they lie in some folders; each folder on the way is resolved only once."""

    def __init__(self, roots: Sequence[Path]):
        self._roots = tuple(root.resolve() for root in roots)
        self._real_folders: dict[str, str] = {}

    def is_inside(self, path: Path) -> bool:
        real = Path(self._real(path))
        return any(real.is_relative_to(root) for root in self._roots)

    def _real(self, path: Path) -> str:
        if path.name in ("", "..") or path.is_symlink():
            return os.path.realpath(path)
        folder = str(path.parent)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], path.name)  # noqa: PTH118 - a Path would cost more than the check


def _candidates(path_text: str, roots: Sequence[Path]) -> list[Path]:
    try:
        return [(root / path_text).resolve() for root in roots]
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a circle, half of a character
        raise InvalidInput(f"{path_text[:200]!r} cannot be used as a path: {error}.") from error
