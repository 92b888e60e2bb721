"""Ids in a request that refer to records: an unknown one is a fault of the field that holds it."""

from typing import Any

from app.errors import InvalidInput, NotFound
from app.repositories.repository import Repository


def check_reference(repository: Repository, field: str, record_id: int | None) -> dict[str, Any] | None:
    """Return the record that a field refers to, or None if the field is null.

    Raises:
        InvalidInput: naming the field, if there is no such record.
    """
    if record_id is None:
        return None
    try:
        return repository.get(record_id)
    except NotFound as error:
        raise InvalidInput.at(field, error.message) from error
