"""Reading of JSON whose members may be missing or of the wrong type: each reader says which member is at fault."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from shared.acs.times import parse_time

T = TypeVar("T")

MAX_TEXT_CHARS = 16_000
"""Longer than any id, context or time is; and short enough for one property of a table's row."""

MAX_EVENTS = 5000
"""Event Grid's own limit for one delivery. A megabyte of nothing but empty objects holds a third of a million."""
MAX_CONTAINERS = 100_000
"""Ten times what a megabyte of real events holds; a third of a million take a second, most of it in the collector."""
MAX_DEPTH = 64
"""Real events go about eight deep. What the stack just let us read, a deeper one could not read back from a row."""


class MalformedMessage(ValueError):
    """A message does not have the shape that its sender documents. The text names the member, never its value."""


def read_each(body: bytes, read: Callable[[object, str], T]) -> tuple[T | MalformedMessage, ...]:
    """Read a JSON array, or a single object, item by item.

    Args:
        body: the JSON.
        read: reads one item, and is told how to call it in a fault; what it raises stands for the item.

    Raises:
        MalformedMessage: the body is no JSON, holds no item or too much, or is nested too deeply.
    """
    # Brackets inside texts count too: no real body comes near either way.
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise MalformedMessage(f"body: more than {MAX_CONTAINERS} objects and arrays in it")
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedMessage("body: not valid JSON") from error
    items = decoded if isinstance(decoded, list) else [decoded]
    if not items:
        raise MalformedMessage("body: no event in it")
    if len(items) > MAX_EVENTS:
        raise MalformedMessage(f"body: more than {MAX_EVENTS} events in it")
    if _is_deep(items):
        raise MalformedMessage(f"body: nested more than {MAX_DEPTH} deep")

    def read_one(index: int, item: object) -> T | MalformedMessage:
        try:
            return read(item, f"event {index}")
        except MalformedMessage as fault:
            # Its traceback would keep the frames of every reader alive, a kilobyte for each fault.
            return fault.with_traceback(None)

    return tuple(read_one(index, item) for index, item in enumerate(items))


def _is_deep(items: list[Any]) -> bool:
    """Whether anything is nested deeper than `MAX_DEPTH`; looks at one level after the other, not to recurse."""
    level: list[Any] = [item for item in items if isinstance(item, (dict, list))]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def moment(source: Mapping[str, Any], name: str, *, where: str) -> float:
    """Return the time `name` of `source` in Unix seconds."""
    written = text(source, name, where=where)
    try:
        return parse_time(written)
    except (ValueError, OverflowError):
        raise MalformedMessage(f"{where}: '{name}' must be an ISO 8601 time") from None


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
