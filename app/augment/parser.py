"""Read and write the augmentation language. Text in, plain values out; nothing is ever evaluated.

    augmentation = NAME { parameter [","] }                   one operation
                 | CONTAINER { parameter [","] } { augmentation } "end" [","]
    parameter    = NAME "=" ( NUMBER | '"' text '"' | "[" NUMBER "," NUMBER "]" | "(" NUMBER { "," NUMBER } ")" )

Line ends count as blanks, so CRLF, tabs, indentation and missing final newlines do not matter; `#` starts a comment.
"""

import math
from collections.abc import Callable

from app.augment.rules import expected, nearest, problem_of_combination, problem_of_name, problem_of_value
from app.augment.signatures import CONTAINERS, ONE_OF, OPERATIONS, SEQUENTIAL, Augmentation, Signature, Value
from app.augment.tokens import Token, excerpt, lines_of, quoted, tokenize
from app.errors import AugmentationError, Problem

LONGEST_TEXT = 64 * 1024
DEEPEST_NESTING = 32
MOST_PROBLEMS = 100
END = "end"
BRACKETS = {"[": ("]", "range"), "(": (")", "vector")}


def parse(text: str, subject: str | None = None) -> Augmentation:
    """Read a text; a blank one is an empty sequence.

    Args:
        text: what is read.
        subject: what an error calls the text, such as the field that holds it.

    Raises:
        AugmentationError: with every problem of the text, each with line and column.
    """
    if len(text) > LONGEST_TEXT:
        message = f"The text has {len(text)} characters; at most {LONGEST_TEXT} are read."
        raise AugmentationError([_problem(message, lines_of(text[:LONGEST_TEXT]), 1, 1)], subject)
    parser = _Parser(text)
    augmentation = parser.read()
    if parser.problems:
        problems = sorted(parser.problems, key=lambda problem: (problem.line or 0, problem.column or 0))
        raise AugmentationError(problems, subject)
    return augmentation


def to_text(augmentation: Augmentation) -> str:
    """Write an augmentation so that `parse` reads the same one back."""
    return "\n".join(_lines(augmentation, "")) + "\n"


def _lines(augmentation: Augmentation, indent: str) -> list[str]:
    parameters = [
        f" {name}={_value_text(augmentation.name, name, value)}" for name, value in augmentation.parameters.items()
    ]
    lines = [indent + augmentation.name + "".join(parameters)]
    if augmentation.name in CONTAINERS:
        for child in augmentation.children:
            lines += _lines(child, indent + "    ")
        lines.append(indent + END)
    return lines


def _value_text(operation: str, name: str, value: Value) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        parameter = OPERATIONS[operation].parameter(name)
        opening, closing = "[]" if parameter and parameter.kind == "range" else "()"
        return opening + ",".join(map(_number_text, value)) + closing
    return _number_text(value)


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


class _TooManyProblems(Exception):
    """Reading stops here: more problems would not help the reader."""


class _Parser:
    """Walk once over the tokens of a text, collecting problems; after one, go on where the next thing can start."""

    def __init__(self, text: str):
        self.lines = lines_of(text)
        self.tokens = tokenize(text)
        self.position = 0
        self.problems: list[Problem] = []

    def read(self) -> Augmentation:
        """Read the whole text; the result counts only if there are no problems."""
        if self.token.kind == "nothing":
            return Augmentation(SEQUENTIAL)
        try:
            augmentation = self._augmentation(1)
            self._refuse_the_rest(augmentation)
        except _TooManyProblems:
            return Augmentation(SEQUENTIAL)
        return augmentation

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def _take(self) -> Token:
        token = self.token
        if token.kind != "nothing":
            self.position += 1
        return token

    def _skip_while(self, condition: Callable[[Token], bool]) -> None:
        while self.token.kind != "nothing" and condition(self.token):
            self.position += 1

    def _report(self, message: str, token: Token) -> None:
        self.problems.append(_problem(message, self.lines, token.line, token.column))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _TooManyProblems

    def _augmentation(self, depth: int) -> Augmentation:
        """Read one operation, or a container with all of its children."""
        name = self._take()
        if depth > DEEPEST_NESTING:
            self._report(f"More than {DEEPEST_NESTING} containers inside one another are not read.", name)
            raise _TooManyProblems
        signature = self._signature(name)
        parameters = self._parameters(name, signature)
        children = self._children(name, depth) if _is_container(name) else ()
        return Augmentation(name.text, parameters, children)

    def _signature(self, name: Token) -> Signature | None:
        """Look an operation up, and report a name that is none."""
        if name.text in OPERATIONS:
            return OPERATIONS[name.text]
        if _is_end(name):
            self._report(f"`{END}` closes no container.", name)
        elif hint := nearest(name.text, [*OPERATIONS, END]):
            self._report(f"There is no operation {quoted(name)}; did you mean {hint}?", name)
        elif name.kind == "word":
            self._report(f"There is no operation {quoted(name)}; names look like AugRotate.", name)
        else:
            self._report(f"The name of an operation is expected, not {_unexpected(name)}", name)
            self._skip_while(lambda token: token.line == name.line)
        return None

    def _children(self, container: Token, depth: int) -> tuple[Augmentation, ...]:
        """Read what stands between a container's parameters and its `end`."""
        children = []
        while self.token.kind != "nothing" and not _is_end(self.token):
            children.append(self._augmentation(depth + 1))
        closing = self._take()
        if closing.kind == "nothing":
            self._report(f"The {quoted(container)} of line {container.line} has no `{END}`.", closing)
        elif closing.text != END:
            self._report(f"`{closing.text}` must be written `{END}`.", closing)
        self._skip_while(lambda token: token.text == ",")
        if container.text == ONE_OF and not children:
            self._report(f"{ONE_OF} has no operations to choose from; write them before its `{END}`.", container)
        return tuple(children)

    def _refuse_the_rest(self, first: Augmentation) -> None:
        """Report what follows the outermost augmentation, problems inside it included."""
        if self.token.kind != "nothing" and not _is_end(self.token):
            place = f"after the outermost `{END}`" if first.name in CONTAINERS else "after a single operation"
            advice = f"To use several, wrap all of them in {SEQUENTIAL} ... {END}."
            self._report(f"Nothing may stand {place}. {advice}", self.token)
        while self.token.kind != "nothing":
            self._augmentation(1)

    def _parameters(self, operation: Token, signature: Signature | None) -> dict[str, Value]:
        """Read `name=value` pairs up to the next operation, and check them together."""
        read: dict[str, Value | None] = {}
        while self._is_at_parameter(operation):
            self._parameter(operation, signature, read)
        if signature is None:
            return {}
        missing = [parameter for parameter in signature.parameters if parameter.required and parameter.name not in read]
        for parameter in missing:
            self._report(f"{operation.text} needs {parameter.name}, {expected(parameter)}.", operation)
        sound = {name: value for name, value in read.items() if value is not None}
        if not missing and len(sound) == len(read) and (message := problem_of_combination(operation.text, sound)):
            self._report(message, operation)
        return sound

    def _is_at_parameter(self, operation: Token) -> bool:
        """Tell whether a parameter, or something wrong in the place of one, comes next."""
        token = self.token
        if token.kind == "nothing":
            return False
        if token.kind != "word" or self.following.text == "=":
            return True
        # A lone word is the next operation, unless it stands where a parameter of this line should.
        is_next_operation = token.text in OPERATIONS or _is_end(token) or _is_container(operation)
        return token.line == operation.line and not is_next_operation

    def _parameter(self, operation: Token, signature: Signature | None, read: dict[str, Value | None]) -> None:
        """Read one `name=value` into `read`; a faulty value is reported and read as `None`."""
        name = self._take()
        if name.text == ",":
            return
        if name.kind != "word" or self.token.text != "=":
            self._report(f"A parameter of {quoted(operation)} is expected as name=value, not {_unexpected(name)}", name)
            self._skip_while(lambda token: token.line == name.line and self.following.text != "=")
            return
        self._take()
        start = self.token
        found = self._value(f"{quoted(operation)}: {quoted(name)}")
        if signature is None:
            return
        if message := problem_of_name(signature, name.text):
            self._report(message, name)
        elif name.text in read:
            self._report(f"{operation.text}: {name.text} is given twice.", name)
        else:
            read[name.text] = found and self._checked(signature, name, start, *found)

    def _checked(self, signature: Signature, name: Token, start: Token, kind: str, value: Value) -> Value | None:
        parameter = signature.parameter(name.text)
        assert parameter is not None, "the name was looked up before"
        message = problem_of_value(f"{signature.name}: {name.text}", parameter, kind, value)
        if message is None:
            return value
        self._report(message, start)
        return None

    def _value(self, label: str) -> tuple[str, Value] | None:
        """Read a value and its kind; report one that cannot be read at all."""
        token = self.token
        starts_something_else = token.text in OPERATIONS or _is_end(token) or self.following.text == "="
        if token.text in BRACKETS:
            return self._numbers(label)
        if token.kind in ("nothing", "sign") or (token.kind == "word" and starts_something_else):
            self._report(f"{label} has no value; {quoted(token)} follows the `=`.", token)
            return None
        self._take()
        if token.kind == "unclosed":
            self._report(f"{label} has no closing quote on its line.", token)
            return None
        if token.kind == "number":
            return None if (value := self._finite(label, token)) is None else ("number", value)
        return (token.kind, token.text[1:-1]) if token.kind == "string" else (token.kind, token.text)

    def _numbers(self, label: str) -> tuple[str, Value] | None:
        """Read the numbers between brackets."""
        opening = self._take()
        closing, kind = BRACKETS[opening.text]
        numbers = []
        while True:
            number = self._take() if self.token.kind == "number" else None
            separator = self.token
            if number is None or separator.text not in (",", closing):
                wanted = "a finite number" if number is None else f"`,` or `{closing}`"
                self._report(f"{label}: {wanted} is expected in the {kind}, not {quoted(separator)}.", separator)
                self._skip_brackets(opening)
                return None
            numbers.append(self._finite(label, number))
            self._take()
            if separator.text == closing:
                finite = tuple(number for number in numbers if number is not None)
                return (kind, finite) if len(finite) == len(numbers) else None

    def _skip_brackets(self, opening: Token) -> None:
        """Go on behind the closing bracket of this line, or at the next line or parameter."""
        self._skip_while(
            lambda token: token.line == opening.line and token.text not in ("]", ")") and self.following.text != "="
        )
        if self.token.text in ("]", ")"):
            self._take()

    def _finite(self, label: str, token: Token) -> float | None:
        value = float(token.text)
        if math.isfinite(value):
            return value
        self._report(f"{label}: {quoted(token)} is too large for a number.", token)
        return None


def _problem(message: str, lines: list[str], line: int, column: int) -> Problem:
    return Problem(message, line, column, excerpt=excerpt(lines[line - 1], column))


def _unexpected(token: Token) -> str:
    """End the sentence about a token that may not stand where it does."""
    return f"{quoted(token)}; a comment begins with #." if token.text.startswith("//") else f"{quoted(token)}."


def _is_end(token: Token) -> bool:
    return token.text.lower() == END


def _is_container(name: Token) -> bool:
    """Tell whether children follow a name, a mistyped one included: then only the name is reported."""
    return name.text in CONTAINERS or (name.text not in OPERATIONS and "contain" in name.text.lower())
