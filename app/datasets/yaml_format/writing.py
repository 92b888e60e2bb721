"""Write a description in the DeepHealth dataset format, so that reading it gives the same description."""

import json
import re
from collections.abc import Iterable, Iterator

from app.datasets.description import Description, Sample
from app.datasets.yaml_format.samples import looks_like_a_place

# A text outside of this form, or one that YAML gives a meaning, stands in quotes.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
MEANINGFUL = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
NEEDS_ESCAPE = re.compile(r"[\x00-\x1f\"\\\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def write(description: Description) -> str:
    """Return the YAML text of a description.

    Labels are written as class names: an index would be mistaken for a class whose name is that number.
    """
    return "\n".join(_lines(description)) + "\n"


def _lines(description: Description) -> Iterator[str]:
    if description.name:
        yield f"name: {_text(description.name)}"
    if description.text:
        yield f"description: {_text(description.text)}"
    if description.classes:
        yield f"classes: {_list(map(_text, description.classes))}"
    if description.features:
        yield f"features: {_list(map(_text, description.features))}"
    yield "images:"
    for sample in description.samples:
        yield from _sample(sample, description)
    if description.splits:
        yield "split:"
        for name, indexes in description.splits.items():
            yield f"  {_text(name)}: {_list(map(str, indexes))}"


def _sample(sample: Sample, description: Description) -> Iterator[str]:
    yield f"  - location: {_one_or_list(sample.location)}"
    if sample.mask is not None:
        yield f"    label: {_text(_unmistakable(sample.mask, description.classes))}"
    elif sample.classes is not None:
        yield f"    label: {_one_or_list([description.classes[index] for index in sample.classes])}"
    if sample.values:
        pairs = (f"{_text(feature)}: {_value(value)}" for feature, value in sample.values.items())
        yield f"    values: {{{', '.join(pairs)}}}"


def _unmistakable(mask: str, classes: tuple[str, ...]) -> str:
    """Begin a mask with `./` where its bare name would be read as a class."""
    return mask if looks_like_a_place(mask) and mask not in classes else f"./{mask}"


def _one_or_list(texts: tuple[str, ...] | list[str]) -> str:
    return _text(texts[0]) if len(texts) == 1 else _list(map(_text, texts))


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _value(value: object) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    if PLAIN.fullmatch(text) and text.lower() not in MEANINGFUL:
        return text
    return '"' + NEEDS_ESCAPE.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return "\\" + character if character in '"\\' else f"\\u{ord(character):04x}"
