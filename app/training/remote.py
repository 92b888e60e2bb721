"""Images that a dataset names by URL: fetched once into a run's own folder, then read like any other file."""

from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from app.datasets.places import split_text
from app.datasets.sources.fetch import fetch
from app.errors import InvalidInput, JobFailure
from app.files import write_atomically
from app.settings import Settings


class LocalCopies:
    """Turns the place of an image, a path or a URL, into a path.

    Args:
        folder: takes what is fetched.
        settings: limits, hosts and times.
        fetched: a folder with copies that were fetched before; it is only read.
    """

    def __init__(self, folder: Path, settings: Settings, fetched: Path | None = None):
        self._folder = folder
        self._settings = settings
        self._fetched_before = fetched

    def path(self, place: Path | str) -> Path:
        """Return a local path; a URL is fetched the first time.

        Raises:
            JobFailure: naming the URL that cannot be fetched.
        """
        if isinstance(place, Path):
            return place
        url, part = split_text(place)
        copy = self.kept(url)
        if not copy.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, self._fetched(url))
        return copy.with_name(copy.name + part)

    def kept(self, url: str) -> Path:
        """Return where the copy of a file lies once it is fetched."""
        name = f"{sha256(url.encode()).hexdigest()[:32]}{_suffix(url)}"
        if self._fetched_before is not None and (self._fetched_before / name).is_file():
            return self._fetched_before / name
        return self._folder / name

    def _fetched(self, url: str) -> bytes:
        try:
            return fetch(
                url,
                limit_bytes=self._settings.max_body_bytes,
                timeout_seconds=self._settings.url_timeout_seconds,
                allowed_hosts=self._settings.url_hosts,
            )
        except InvalidInput as error:
            raise JobFailure(error.message) from error


def _suffix(url: str) -> str:
    """Return what the kind of file is known by; `scan.nii.gz` is known by both of its suffixes."""
    name = PurePosixPath(urlsplit(url).path)
    return ".nii.gz" if name.name.lower().endswith(".nii.gz") else name.suffix
