"""Cut an augmentation text into tokens that know their line and column."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Each alternative starts with characters no other one starts with, so scanning is linear whatever the text.
_PIECE = re.compile(
    r"""(?P<newline>\n)|(?P<blank>[^\S\n]+|\#[^\n]*)|(?P<string>"[^"\n]*"?)|(?P<sign>[\[\](),=])|(?P<chunk>[^\s\[\](),="\#]+)"""
)
_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w*+", re.ASCII)
_LONGEST_QUOTE = 40
_EXCERPT_BEFORE, _EXCERPT_AFTER = 60, 40


class Token(NamedTuple):
    """A piece of the text. `kind` is word, number, string, unclosed, sign, other, or nothing (the end of the text).

    The quotes of a string are part of its `text`; `line` and `column` count from 1.
    """

    kind: str
    text: str
    line: int
    column: int


def tokenize(text: str) -> list[Token]:
    """Cut a text; the last token is always of the kind nothing."""
    return list(_tokens(_with_plain_line_ends(text)))


def lines_of(text: str) -> list[str]:
    """Cut a text into the lines that tokens count."""
    return _with_plain_line_ends(text).split("\n")


def excerpt(line: str, column: int) -> str:
    """Show a line, or what surrounds the column in a long one, and below it a caret under the column."""
    start = column - 1 - _EXCERPT_BEFORE
    start = start if start > len("...") else 0
    end = column - 1 + _EXCERPT_AFTER
    before = ("..." if start else "") + line[start : column - 1]
    after = line[column - 1 : end] + ("..." if len(line) > end else "")
    # A tab or a control character takes one column here, so that the caret stands where it should.
    shown = "".join(character if character.isprintable() else " " for character in before + after)
    return f"{shown.rstrip()}\n{' ' * len(before)}^"


def shortened(text: str) -> str:
    """Cut a very long piece of text for a message, and make characters visible that a screen would not show."""
    start = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in start
    )


def quoted(token: Token) -> str:
    """Show a token in a message."""
    return "the end of the text" if token.kind == "nothing" else shortened(token.text)


def _with_plain_line_ends(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _tokens(text: str) -> Iterator[Token]:
    line, line_start = 1, 0
    for match in _PIECE.finditer(text):
        group = match.lastgroup
        if group == "newline":
            line, line_start = line + 1, match.end()
        elif group != "blank":
            piece = match.group()
            yield Token(_kind(str(group), piece), piece, line, match.start() - line_start + 1)
    yield Token("nothing", "", line, len(text) - line_start + 1)


def _kind(group: str, piece: str) -> str:
    if group == "string":
        return "string" if len(piece) > 1 and piece.endswith('"') else "unclosed"
    if group == "sign":
        return "sign"
    if _NUMBER.fullmatch(piece):
        return "number"
    return "word" if _WORD.fullmatch(piece) else "other"
