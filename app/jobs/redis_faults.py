"""Why Redis cannot be used, in one sentence that also says what would be right."""

import ssl
from collections.abc import Iterator

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError


def redis_fault(error: Exception, name: str = "Redis") -> str:
    """Say what keeps Redis from being used.

    Args:
        error: what a request to Redis raised.
        name: of this Redis, at the beginning of the sentence.
    """
    causes = list(_chain(error))
    if isinstance(error, AuthenticationError):
        return f"{name} refuses the user or the password of REDIS_URL; correct it, with an @ in it written as %40."
    if isinstance(error, NoPermissionError):
        return (
            f"{name} refuses a command to the user of REDIS_URL ({error}); "
            "allow that user all commands but the dangerous ones, and all keys (docs/scaling.md)."
        )
    if isinstance(error, ResponseError):  # as to everything while its disk is full
        return f"{name} accepts no jobs: {str(error).rstrip('.')}."
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{name} has a certificate that is not trusted ({cause.verify_message.rstrip('.')}); "
                "renew it, or name the file of who signed it in REDIS_URL, as ?ssl_ca_certs=FILE."
            )
        if isinstance(cause, ssl.SSLError):
            return f"{name} cannot be asked over TLS ({cause.reason or cause}); correct REDIS_URL."
    reason = next((f" ({cause.strerror})" for cause in causes if isinstance(cause, OSError) and cause.strerror), "")
    return f"{name} does not answer{reason}; start it or correct REDIS_URL."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an exception and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
