"""Reading of JSON whose members may be missing or of the wrong type: each reader says which member is at fault."""

from collections.abc import Mapping
from typing import Any

MAX_TEXT_CHARS = 16_000
"""Longer than any id, context or time is; and short enough for one property of a table's row."""


class MalformedMessage(ValueError):
    """A message does not have the shape that its sender documents. The text names the member, never its value."""


def text(source: Mapping[str, Any], name: str, *, where: str) -> str:
    """Return the non-empty string `name` of `source`."""
    value = source.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_CHARS:
        raise MalformedMessage(f"{where}: '{name}' must be a non-empty string")
    return value


def optional_text(source: Mapping[str, Any], name: str, *, where: str) -> str:
    """Return the string `name` of `source`, or an empty one where it is missing or null."""
    value = source.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise MalformedMessage(f"{where}: '{name}' must be a string")
    return value


def mapping(source: Mapping[str, Any], name: str, *, where: str) -> Mapping[str, Any]:
    """Return the object `name` of `source`."""
    value = source.get(name)
    if not isinstance(value, dict):
        raise MalformedMessage(f"{where}: '{name}' must be an object")
    return value
