"""The inline constraints of ASP.NET route templates: `{id:int}`, `{name:length(3,8)}` and the like.

A value that fails its constraint does not match the route, so that the next one is tried.
Not all of .NET's are here: `datetime` follows the server's culture, and is refused rather than guessed.
"""

import math
import re
from collections.abc import Callable, Mapping

Check = Callable[[str], bool]

_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_HEX = "[0-9a-fA-F]"
_DASHED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID = re.compile(rf"\s*(?:{_HEX}{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\))\s*")
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)\s*")


class UnknownConstraintError(ValueError):
    """A constraint that ASP.NET has not, or that is not emulated."""


def parse_constraint(text: str) -> Check:
    """Return the check that a constraint such as `int` or `range(1,5)` stands for.

    Raises:
        UnknownConstraintError: the name is not known, or the arguments do not fit it.
    """
    name, bracket, rest = text.partition("(")
    arguments = rest.removesuffix(")") if bracket else None
    try:
        return _build(name.strip().lower(), arguments)
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise UnknownConstraintError(f"route constraint {text!r} is not known") from error


def _build(name: str, arguments: str | None) -> Check:
    if arguments is None:
        return _PLAIN[name]
    if name == "regex":
        pattern = re.compile(arguments, re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    return _WITH_NUMBERS[name](*(int(number) for number in arguments.split(",")))


def _is_integer(bounds: tuple[int, int]) -> Check:
    return lambda value: bool(_INTEGER.fullmatch(value)) and bounds[0] <= int(value) <= bounds[1]


def _is_number(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value)) and math.isfinite(float(value.replace(",", "")))


def _length(low: int, high: int | None = None) -> Check:
    return lambda value: low <= len(value) <= (low if high is None else high)


def _between(low: int, high: int) -> Check:
    return lambda value: _is_integer(_INT64)(value) and low <= int(value) <= high


_PLAIN: Mapping[str, Check] = {
    "int": _is_integer(_INT32),
    "long": _is_integer(_INT64),
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "float": _is_number,
    "double": _is_number,
    "decimal": lambda value: bool(_DECIMAL.fullmatch(value)),
    "guid": lambda value: bool(_GUID.fullmatch(value)),
    "alpha": lambda value: value.isascii() and (value.isalpha() or not value),
    "required": bool,
}
_WITH_NUMBERS: Mapping[str, Callable[..., Check]] = {
    "length": _length,
    "minlength": lambda low: lambda value: len(value) >= low,
    "maxlength": lambda high: lambda value: len(value) <= high,
    "range": _between,
    "min": lambda low: _between(low, _INT64[1]),
    "max": lambda high: _between(_INT64[0], high),
}
