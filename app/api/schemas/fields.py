"""The kinds of value that requests carry, each with its limits and with words for what is wrong."""

import re
from typing import Any

import marshmallow as ma
from marshmallow import fields

from app.api.path_ids import LARGEST_ID
from app.errors import NotFound

NAME_CHARACTERS = 200
LOCATION_CHARACTERS = 4096
VALUE_CHARACTERS = 100_000
WHOLE_NUMBER = re.compile(r"([0-9]{1,15})(\.0{1,15})?")
PROCESS_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PLAIN_TEXT = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*")  # line ends and tabs are plain
ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
EXAMPLE_PROCESS_ID = "ec63b923-850a-4d1d-aa24-e9d54a942c1b"


class Whole(fields.Integer):
    """A whole number, from 1 up unless told: a JSON number, or its digits as text, as forms and queries have them."""

    def __init__(self, *, maximum: int, minimum: int = 1, **kwargs: Any):
        expected = f"A whole number from {minimum} to {maximum} is expected, such as {max(minimum, 3)}."
        limits = ma.validate.Range(minimum, maximum, error=expected)
        super().__init__(validate=limits, error_messages={"invalid": expected}, **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        is_null = self.allow_none and value in ("", "null")  # a form cannot say null otherwise
        return super().deserialize(None if is_null else value, *args, **kwargs)

    def _validated(self, value: Any) -> int:
        # 3.0 is a whole number in JSON, which knows one kind of numbers, and clients write it into queries too.
        if isinstance(value, str) and (digits := WHOLE_NUMBER.fullmatch(value.strip())):
            return int(digits[1])
        if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            return int(value)
        raise self.make_error("invalid", input=value)


class Id(Whole):
    """The id of a record."""

    def __init__(self, **kwargs: Any):
        super().__init__(maximum=LARGEST_ID, **kwargs)


class Text(fields.String):
    """A text of limited length, without control characters other than line ends and tabs."""

    default_error_messages = {"control": "Control characters are not allowed here."}
    allowed = PLAIN_TEXT

    def __init__(self, *, longest: int, shortest: int = 1, **kwargs: Any):
        metadata = {"pattern": f"^{self.allowed.pattern}$", **kwargs.pop("metadata", {})}
        super().__init__(validate=ma.validate.Length(shortest, longest), metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not self.allowed.fullmatch(text):
            raise self.make_error("control")
        return text


class Name(Text):
    """A name that people give: 1 to 200 characters on one line, not only blanks."""

    default_error_messages = {
        "control": "A name is a single line without control characters.",
        "blank": "A name needs at least one character that is not blank.",
    }
    allowed = ONE_LINE

    def __init__(self, **kwargs: Any):
        metadata = {"pattern": rf"^{ONE_LINE.pattern}[^\s\x00-\x1f\x7f-\x9f]{ONE_LINE.pattern}$"}
        super().__init__(longest=NAME_CHARACTERS, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if text and not text.strip():
            raise self.make_error("blank")
        return text


class ProcessId(fields.String):
    """The id of a process; a text that cannot be one names no process, and is answered with 404."""

    def __init__(self, **kwargs: Any):
        metadata = {"format": "uuid", "example": EXAMPLE_PROCESS_ID, **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not PROCESS_ID.fullmatch(text):
            raise NotFound(f"There is no process {text[:40]!r}; process_id is what /train or /inference answered.")
        return text


class Flag(fields.Boolean):
    """A query parameter that is true when it is there without a value: `?full`."""

    truthy = {"", "1", "true", "True", "yes"}
    falsy = {"0", "false", "False", "no"}

    def __init__(self, *, metadata: dict[str, Any], **kwargs: Any):
        shown = {"type": ["boolean", "string"], "enum": [True, False, ""]}
        super().__init__(metadata={**shown, **metadata}, **kwargs)


class Values(fields.Field):
    """Anything that the OpenAPI schema in `metadata` describes; for answers, and for what is sent back unread."""
