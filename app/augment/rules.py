"""Check what a text says against the signatures; each check answers with a sentence, or `None` if all is well."""

from difflib import get_close_matches
from math import prod

from app.augment.signatures import MOST_VALUES, Parameter, Signature, Value
from app.augment.tokens import shortened

_FORMS = {
    "range": "a range such as [0,1]",
    "vector": "a vector such as (1,2)",
    "number": "a finite number such as 0.5",
    "string": "a string in double quotes",
}


def nearest(word: str, known: list[str]) -> str | None:
    """Find the known word most like a mistyped one, whatever its capitals."""
    by_lower_case = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower_case, n=1)
    return by_lower_case[found[0]] if found else None


def problem_of_name(signature: Signature, name: str) -> str | None:
    """Check that an operation has a parameter of this name."""
    if signature.parameter(name):
        return None
    known = [parameter.name for parameter in signature.parameters]
    if not known:
        return f"{signature.name} has no parameters, so {shortened(name)} cannot be set."
    hint = nearest(name, known)
    advice = f"did you mean {hint}?" if hint else f"it has {', '.join(known)}."
    return f"{signature.name} has no parameter {shortened(name)}; {advice}"


def problem_of_value(label: str, parameter: Parameter, kind: str, value: Value) -> str | None:
    """Check one value: its kind, how many numbers it has, its limits or choices.

    Args:
        label: operation and parameter, as the sentence names them.
        parameter: what is accepted.
        kind: range, vector, number or string; any other word is a wrong kind.
        value: numbers without their brackets, a string without its quotes.
    """
    if kind not in parameter.kinds:
        return f"{label} must be {expected(parameter)}, not {_shown(kind, value)}."
    if isinstance(value, str):
        return _problem_of_choice(label, parameter, value)
    numbers = value if isinstance(value, tuple) else (value,)
    return _problem_of_count(label, parameter, kind, numbers) or _problem_of_limits(label, parameter, kind, numbers)


def expected(parameter: Parameter) -> str:
    """Say in words which kinds of value a parameter accepts, with an example of each."""
    if parameter.choices:
        return f'a string in double quotes such as "{parameter.default}"'
    return " or ".join(_FORMS[kind] for kind in parameter.kinds)


def problem_of_combination(operation: str, values: dict[str, Value]) -> str | None:
    """Check values of an operation that depend on one another; all of them are sound by themselves."""
    if operation == "AugNormalize":
        return _problem_of_normalize(values["mean"], values["std"])
    if operation == "AugResizeDim":
        return _problem_of_size(values["dims"])
    if operation == "AugScaleFromTo" and _number(values["old_min"]) >= _number(values["old_max"]):
        return f"AugScaleFromTo: old_min ({values['old_min']:g}) must be less than old_max ({values['old_max']:g})."
    return None


def _problem_of_size(dims: Value) -> str | None:
    assert isinstance(dims, tuple), "dims is a vector"
    count = prod(map(int, dims))
    if count <= MOST_VALUES:
        return None
    return f"AugResizeDim: dims ask for {count:,} values; at most {MOST_VALUES:,} (8192 x 8192 x 4) are possible."


def _problem_of_normalize(mean: Value, std: Value) -> str | None:
    if isinstance(mean, tuple) != isinstance(std, tuple):
        return "AugNormalize: mean and std must both be numbers, or both be vectors."
    if isinstance(mean, tuple) and isinstance(std, tuple):
        if len(mean) != len(std):
            return f"AugNormalize: mean has {len(mean)} values and std has {len(std)}; both need one per channel."
    elif std == 0:
        return "AugNormalize: std must not be 0."
    return None


def _problem_of_choice(label: str, parameter: Parameter, value: str) -> str | None:
    if value in parameter.choices:
        return None
    hint = nearest(value, list(parameter.choices))
    guess = f'; did you mean "{hint}"?' if hint else "."
    return f'{label} must be one of {", ".join(parameter.choices)}, not "{shortened(value)}"{guess}'


def _problem_of_count(label: str, parameter: Parameter, kind: str, numbers: tuple[float, ...]) -> str | None:
    count = len(numbers)
    if kind == "range" and count != 2:
        return f"{label} must be a range of 2 numbers, [min,max], not of {count}."
    if kind == "vector" and parameter.lengths and count not in parameter.lengths:
        return f"{label} must be a vector of {' or '.join(map(str, parameter.lengths))} numbers, not of {count}."
    return None


def _problem_of_limits(label: str, parameter: Parameter, kind: str, numbers: tuple[float, ...]) -> str | None:
    if kind == "range" and numbers[0] > numbers[1]:
        return f"{label} must be [min,max] with min <= max, but {numbers[0]:g} is greater than {numbers[1]:g}."
    low = float("-inf") if parameter.minimum is None else parameter.minimum
    high = float("inf") if parameter.maximum is None else parameter.maximum
    wrong = next((number for number in numbers if not low <= number <= high), None)
    if wrong is None:
        return None
    limits = f"at least {low:g}" if parameter.maximum is None else f"from {low:g} to {high:g}"
    return f"{label} must be {limits}, not {wrong:g}."


def _number(value: Value) -> float:
    assert isinstance(value, float), "only a parameter of the kind number comes here"
    return value


def _shown(kind: str, value: Value) -> str:
    if isinstance(value, tuple):
        return f"the {kind} {_bracketed(kind, value)}"
    if isinstance(value, float):
        return f"the number {value:g}"
    return f'the string "{shortened(value)}"' if kind == "string" else shortened(value)


def _bracketed(kind: str, numbers: tuple[float, ...]) -> str:
    opening, closing = "[]" if kind == "range" else "()"
    shown = ",".join(f"{number:g}" for number in numbers[:4]) + (",..." if len(numbers) > 4 else "")
    return opening + shown + closing
