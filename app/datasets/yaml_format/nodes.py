"""Turn YAML text into nodes that know their line, safely.

Works on the event stream, so LibYAML's speed is kept while nesting, aliases and tags are checked before anything is
built: PyYAML's own composer is recursive (deep nesting ends the process) and forgets lines when it makes values.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import Reader

from app.datasets.problems import bare, shorten
from app.errors import DatasetError, Problem

MOST_NODES = 2_000_000  # counted with aliases written out; a file of 16 MB holds about a million
DEEPEST_NESTING = 20
NULL_TEXTS = frozenset(["", "~", "null", "Null", "NULL"])
CORE_TAG = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|seq|map)")
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
OLD_DIRECTIVE = re.compile(r"\A%(?=YAML:)")  # the toolkit's files begin with OpenCV's `%YAML:1.2`, which is no YAML

_EVENT_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Scalar:
    """A text; `is_plain` says that it was written without quotes, so that it may be meant as a number or null."""

    text: str
    line: int
    is_plain: bool

    kind = "a text"

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.text in NULL_TEXTS


@dataclass(slots=True)
class Listing:
    """A YAML sequence."""

    items: list["Node"]
    line: int

    kind = "a list"


@dataclass(slots=True)
class Mapping:
    """A YAML mapping; `items` holds key, value, key, value, ... so that no key is lost before it is checked."""

    items: list["Node"]
    line: int

    kind = "a mapping"

    def entries(self) -> Iterator[tuple["Node", "Node"]]:
        return zip(self.items[::2], self.items[1::2], strict=True)


Node = Scalar | Listing | Mapping


def compose(content: bytes, file_name: str) -> Node | None:
    """Return the root node of a YAML text; `None` if the text holds nothing.

    Raises:
        DatasetError: with the first fault of the YAML itself: after it nothing that follows can be trusted.
    """
    text = OLD_DIRECTIVE.sub("#", _decode(content, file_name))
    _check_characters(text, file_name)
    try:
        return _Composer(text, file_name).root()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, file_name) from error
    except yaml.YAMLError as error:
        raise DatasetError([Problem(f"This is not YAML: {error}.")], subject=file_name) from error


def _decode(content: bytes, file_name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fault = f"The byte 0x{content[error.start]:02x} is not UTF-8; save the file in the encoding UTF-8."
        raise DatasetError([Problem(fault, line=line)], subject=file_name) from error


def _check_characters(text: str, file_name: str) -> None:
    unprintable = Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        fault = f"The character U+{ord(unprintable[0]):04X} is not allowed in YAML."
        raise DatasetError([Problem(fault, line=line)], subject=file_name)


def _syntax_error(error: yaml.MarkedYAMLError, file_name: str) -> DatasetError:
    mark = error.problem_mark or error.context_mark
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return DatasetError([Problem(f"This is not YAML: {reason}.", line=line, column=column)], subject=file_name)


class _Composer:
    """Builds the nodes of one document from its events with a stack of open collections."""

    def __init__(self, text: str, file_name: str):
        self._events: Iterable[Any] = yaml.parse(text, Loader=_EVENT_LOADER)
        self._file_name = file_name
        self._open: list[tuple[Listing | Mapping, str | None, int]] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._node_count = 0
        self._root: Node | None = None

    def root(self) -> Node | None:
        """Read all events."""
        document_count = 0
        for event in self._events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._start(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                document_count += 1
                if document_count > 1:
                    raise self._fault(event, "A second document begins; a dataset file holds one.")
        return self._root

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        is_plain = event.implicit[0] if event.tag is None else self._tag_name(event) not in ("str", None)
        if not event.value.isascii() and HALF_CHARACTER.search(event.value):  # LibYAML refuses it in other words
            raise self._fault(event, "An escape such as \\ud800 is half of a character, which no text can hold.")
        node = Scalar(event.value, _line(event), is_plain)
        self._count(1, event)
        self._place(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, 1)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) == DEEPEST_NESTING:
            raise self._fault(event, f"Lists and mappings are nested more than {DEEPEST_NESTING} deep.")
        self._tag_name(event)
        kind = Listing if isinstance(event, yaml.SequenceStartEvent) else Mapping
        node = kind([], _line(event))
        self._count(1, event)
        self._place(node)
        self._open.append((node, event.anchor, self._node_count))
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _end(self) -> None:
        node, anchor, count_at_start = self._open.pop()
        if anchor is not None:
            self._anchors[anchor] = (node, self._node_count - count_at_start + 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name, shown = str(event.anchor), bare(str(event.anchor))
        if name not in self._anchors:
            raise self._fault(event, f"The alias *{shown} stands for nothing: there is no &{shown} before it.")
        anchored = self._anchors[name]
        if anchored is None:
            raise self._fault(event, f"The alias *{shown} stands inside of what it stands for.")
        node, node_count = anchored
        self._count(node_count, event)
        self._place(node)

    def _place(self, node: Node) -> None:
        if self._open:
            self._open[-1][0].items.append(node)
        else:
            self._root = node

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._node_count += nodes
        if self._node_count > MOST_NODES:
            raise self._fault(event, f"The file holds more than {MOST_NODES:,} values, aliases written out.")

    def _tag_name(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> str | None:
        if event.tag is None:
            return None
        known = CORE_TAG.fullmatch(event.tag)
        if known is None:
            raise self._fault(event, f"The tag {shorten(event.tag)} is not allowed; a dataset file needs no tags.")
        return known[1]

    def _fault(self, event: yaml.Event, fault: str) -> DatasetError:
        mark = event.start_mark
        assert mark is not None
        return DatasetError([Problem(fault, line=mark.line + 1, column=mark.column + 1)], subject=self._file_name)


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1
