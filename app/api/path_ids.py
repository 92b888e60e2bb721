"""Ids and positions in paths: `/projects/<id:project_id>`, `/datasets/1/images/<index:sample_index>`."""

from werkzeug.routing import BaseConverter

LONGEST_ID_DIGITS = 15  # every such id is exact in JavaScript's numbers too
LARGEST_ID = 10**LONGEST_ID_DIGITS - 1


class IdConverter(BaseConverter):
    """Match a whole number of at most 15 digits; any other text is an address that does not exist (404)."""

    regex = f"[0-9]{{1,{LONGEST_ID_DIGITS}}}"

    def to_python(self, value: str) -> int:
        return int(value)


class IndexConverter(IdConverter):
    """Match a position in a list, counted from 0."""


def describe_index(converter: IndexConverter) -> dict:
    """Return the OpenAPI schema of a position in a path."""
    return {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}


def describe_id(converter: IdConverter) -> dict:
    """Return the OpenAPI schema of an id in a path."""
    return {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
