"""Bearer tokens: who holds one may use the whole service."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from app.errors import Conflict, InvalidInput, NotFound
from app.repositories.database import Database
from app.repositories.repository import Record, Repository
from app.runs.layout import StorageLayout
from app.settings import Settings

PREFIX = "dht_"
RANDOM_BYTES = 32
LONGEST_TOKEN = 200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Tokens:
    """The tokens in a table. Every process reads the file anew when it has changed, so a revoked one is out at once.

    A token is 256 random bits, of which SHA-256 is stored: what makes the hashing of passwords slow and salted is that
    people choose them from few; nobody finds a random number of this size by trying, however fast that is.
    """

    repository: Repository

    def create(self, name: str, days: int | None = None) -> str:
        """Make a token and return it, for the only time.

        Args:
            name: of who or what uses it; it is in the audit log.
            days: after which it expires; None for never.

        Raises:
            InvalidInput: for a name that cannot be used.
            Conflict: for a name that a token has.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} cannot name a token; up to 64 letters, digits, dots, dashes, underscores and @ can, "
                "beginning with a letter or a digit."
            )
        if self.repository.find(name=name):
            raise Conflict(f"There is a token {name!r} already; revoke it first, or choose another name.")
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        now = datetime.now(UTC)
        expires = _text(now + timedelta(days=days)) if days else None
        self.repository.add({"name": name, "sha256": _hash(token), "created": _text(now), "expires": expires})
        return token

    def revoke(self, name: str) -> None:
        """Delete the token of this name.

        Raises:
            NotFound: if there is none.
        """
        found = self.repository.find(name=name)
        if not found:
            raise NotFound(f"There is no token {name[:80]!r}; dht token list shows those there are.")
        for record in found:
            self.repository.delete(record["id"])

    def all(self) -> list[Record]:
        """Return name, hash, creation and expiry of every token, expired ones included."""
        return self.repository.all()

    def exist(self) -> bool:
        """Tell whether there is any token; an expired one counts: that it expired opens nothing."""
        return bool(self.all())

    def owner(self, token: str) -> str | None:
        """Return the name of a valid token, None for any other text."""
        presented = _hash(token[:LONGEST_TOKEN]).encode()
        # Each is compared, in the same time whether or not it fits.
        fitting = [record for record in self.all() if secrets.compare_digest(record["sha256"].encode(), presented)]
        return next((record["name"] for record in fitting if not is_expired(record)), None)


def stored_tokens(settings: Settings) -> Tokens:
    """Return the tokens of the storage folder, for programs that need no other record of it."""
    return Tokens(Database(StorageLayout(settings.storage_dir).records).tokens)


def is_expired(record: Record) -> bool:
    """Tell whether a token's time is over."""
    return record["expires"] is not None and datetime.fromisoformat(record["expires"]) <= datetime.now(UTC)


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
