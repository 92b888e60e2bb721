"""The project's exceptions. They carry data; `app.api.errors` alone turns them into HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class ToolkitError(Exception):
    """One sentence that a person can act on, and where in the input each fault lies.

    Attributes:
        message: what is wrong, where, and what would be right.
        errors: faults by the name of the field (or file, or line) they belong to.
        places: of those faults that lie in a text, the same once more with line and column.
    """

    def __init__(
        self,
        message: str,
        errors: Mapping[str, Sequence[str]] | None = None,
        places: "Mapping[str, Sequence[Problem]] | None" = None,
    ):
        super().__init__(message)
        self.message = message
        self.errors = {where: list(faults) for where, faults in (errors or {}).items()}
        self.places = dict(places or {})


class MalformedRequest(ToolkitError):
    """The request cannot be read, or lacks a required parameter."""


class NotAuthenticated(ToolkitError):
    """The request needs a token, and has none that is valid."""


class Forbidden(ToolkitError):
    """Whoever sends the request may not do this."""


class NotFound(ToolkitError):
    """The id in the path, or the process id, names nothing."""


class Conflict(ToolkitError):
    """The request is sound but does not fit the present state."""


class TooLarge(ToolkitError):
    """The input is larger than a limit in the settings."""


class InvalidInput(ToolkitError):
    """The request is understood but a value in it cannot be used."""

    @classmethod
    def at(cls, field: str, message: str) -> "InvalidInput":
        """Name the field that holds the fault."""
        return cls(message, {field: [message]})


class QueueUnavailable(ToolkitError):
    """Redis cannot be reached, so no job can be queued or looked up."""


class Busy(ToolkitError):
    """The service does as much at once as it can; the same request may succeed a little later."""


class TooManyRequests(ToolkitError):
    """This client asks for more than a limit in the settings.

    Attributes:
        retry_seconds: when the same request may succeed.
    """

    def __init__(self, message: str, retry_seconds: int):
        super().__init__(message)
        self.retry_seconds = retry_seconds


class StorageUnavailable(ToolkitError):
    """The storage folder cannot be read or written (no permission, a file that was damaged)."""


class StorageDamaged(StorageUnavailable):
    """A file of the storage folder is gone, or holds something else than it should: a person has to see to it."""


class StorageFull(StorageUnavailable):
    """There is no room for what was to be stored; nothing of it is."""


class ConfigurationError(ToolkitError):
    """A setting has a value the service cannot start with."""


class RunHeld(ToolkitError):
    """Another job works on the run, so this one must not."""


class JobFailure(ToolkitError):
    """A job cannot go on, for a reason its owner can act on."""


class PartKilled(JobFailure):
    """A process that shares a job's work was killed, as the job itself may be; `signal` did it."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


@dataclass(frozen=True)
class Problem:
    """One fault of a text or file that a user wrote.

    `line` and `column` count from 1; `None` where the fault has no single place. `excerpt` is the line of the text, or
    what surrounds the place in a long one, and below it a caret under the column: two lines to show in fixed width.
    """

    message: str
    line: int | None = None
    column: int | None = None
    key: str | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: {self.message}" if place else self.message


class InvalidText(InvalidInput):
    """A text or file of the user's with one or more problems, all of them listed."""

    subject = "text"

    def __init__(self, problems: Sequence[Problem], subject: str | None = None):
        self.problems = tuple(problems)
        subject = subject or self.subject
        more = len(self.problems) - 1
        tail = f" (and {more} more problem{'s' * (more > 1)})" if more else ""
        faults = [str(problem) for problem in self.problems]
        super().__init__(f"{subject}: {faults[0]}{tail}", {subject: faults}, {subject: self.problems})


class AugmentationError(InvalidText):
    """An augmentation text that cannot be used; every problem with line and column."""

    subject = "augmentation text"


class DatasetError(InvalidText):
    """A dataset description that cannot be used; every problem with line and key."""

    subject = "dataset"
