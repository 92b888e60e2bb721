"""The forms of what is read from JSON files, written as Python types: people edit files, and may leave anything there.

A form is `str`, `int`, `float` (whole numbers too), `bool`, `None`, `Any`, `datetime` (its ISO text, with a zone),
`list[...]`, `tuple[..., ...]` (a list in JSON), `dict[str, ...]`, `dict[int, ...]` (whose keys are digits in JSON),
`Literal[...]`, a union of forms, a TypedDict or a dataclass. Keys that the last two do not name may hold anything: a
later version may have written them.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

Fault = tuple[str, str]  # where in the value, such as ".splits.test", and what is expected there
Check = Callable[[Any], Fault | None]

WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "an object",
}
LONGEST_PLACE = 80


def fault_in(value: Any, form: Any) -> str | None:
    """Say what is wrong with a value, such as `at splits.test a whole number is expected`; None if it has the form."""
    fault = _check(form)(value)
    if fault is None:
        return None
    place, expected = fault
    return (f"at {place[:LONGEST_PLACE].lstrip('.')} " if place else "") + f"{expected} is expected"


@cache
def _check(form: Any) -> Check:
    """Return what checks values of a form; thousands of records are checked while a list is answered."""
    origin, arguments = get_origin(form), get_args(form)
    if form is Any:
        return lambda value: None
    if form is None or (form in WORDS and form not in (list, dict)):
        return _is_plain((form or NoneType,))
    if form is datetime:
        return _is_time
    if origin in (Union, UnionType):
        is_plain = all(each in WORDS and each not in (list, dict) for each in arguments)
        return _is_plain(arguments) if is_plain else _is_one_of(arguments)
    if origin is Literal:
        return _is_choice(arguments)
    if origin in (list, tuple):
        return _is_list(_check(arguments[0]))
    if origin is dict:
        return _is_mapping(_check(arguments[1]), has_digits=arguments[0] is int)
    if is_typeddict(form):
        return _is_object(get_type_hints(form), form.__required_keys__)
    if dataclasses.is_dataclass(form):
        needed = {field.name for field in dataclasses.fields(form) if _is_needed(field)}
        return _is_object(get_type_hints(form), needed)
    raise TypeError(f"{form} is no form.")


def _is_plain(kinds: tuple[type, ...]) -> Check:
    fault = ("", " or ".join(WORDS[kind] for kind in kinds))
    accepted = frozenset(kinds) | ({int} if float in kinds else frozenset())
    return lambda value: None if type(value) in accepted else fault  # by isinstance, True is a number


def _is_time(value: Any) -> Fault | None:
    try:
        if isinstance(value, str) and datetime.fromisoformat(value).tzinfo:
            return None
    except ValueError:
        pass
    return "", "a time such as 2026-11-30T12:00:00+00:00"


def _is_one_of(forms: tuple) -> Check:
    checks = [_check(form) for form in forms]

    def check(value: Any) -> Fault | None:
        faults = []
        for each in checks:
            fault = each(value)
            if fault is None:
                return None
            faults.append(fault)
        deeper = [fault for fault in faults if fault[0]]
        return deeper[0] if deeper else ("", " or ".join(expected for _, expected in faults))

    return check


def _is_choice(choices: tuple) -> Check:
    fault = ("", "one of " + ", ".join(map(repr, choices)))
    return lambda value: None if isinstance(value, str) and value in choices else fault


def _is_list(check_item: Check) -> Check:
    def check(value: Any) -> Fault | None:
        if not isinstance(value, list | tuple):
            return "", WORDS[list]
        for place, item in enumerate(value):
            if fault := check_item(item):
                return f"[{place}]{fault[0]}", fault[1]
        return None

    return check


def _is_mapping(check_item: Check, *, has_digits: bool) -> Check:
    def check(value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", WORDS[dict]
        for key, item in value.items():
            if has_digits and not key.isdecimal():
                return f".{key}", "a whole number as the key"
            if fault := check_item(item):
                return f".{key}{fault[0]}", fault[1]
        return None

    return check


def _is_object(hints: Mapping[str, Any], needed: set[str] | frozenset[str]) -> Check:
    checks = [(name, _check(hint), name in needed) for name, hint in hints.items()]

    def check(value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", WORDS[dict]
        for name, check_item, is_needed in checks:
            if name in value:
                if fault := check_item(value[name]):
                    return f".{name}{fault[0]}", fault[1]
            elif is_needed:
                return f".{name}", "a value"
        return None

    return check


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
