"""Images that a dataset names by URL: fetched once into a run's own folder, then read like any other file."""

from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from app.datasets.fetch import fetch
from app.errors import InvalidInput, JobFailure
from app.files import write_atomically
from app.settings import Settings


class LocalCopies:
    """Turns the place of an image, a path or a URL, into a path."""

    def __init__(self, folder: Path, settings: Settings):
        self._folder = folder
        self._settings = settings

    def path(self, place: Path | str) -> Path:
        """Return a local path; a URL is fetched the first time.

        Raises:
            JobFailure: naming the URL that cannot be fetched.
        """
        if isinstance(place, Path):
            return place
        suffix = PurePosixPath(urlsplit(place).path).suffix
        copy = self._folder / f"{sha256(place.encode()).hexdigest()[:32]}{suffix}"
        if not copy.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, self._fetched(place))
        return copy

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
