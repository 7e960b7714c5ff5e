"""Call Automation callbacks: arrays of CloudEvents, usually of one.

Types and members that we do not know are kept, never refused: real captures hold more than the
specification names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.acs.shapes import MalformedMessage, mapping, optional_text, text
from shared.acs.times import parse_time

PREFIX = "Microsoft.Communication."
MAX_CALLBACK_BYTES = 256 * 1024
"""A callback is about 1 KB; ParticipantsUpdated of a large group is the longest."""


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """One callback event. `name` is the type without its prefix; `at` is Unix seconds."""

    event_id: str
    name: str
    at: float
    call_connection_id: str
    """Empty for a type that names none."""
    code: int
    sub_code: int
    data: Mapping[str, Any] = field(repr=False)


def parse_callback(body: bytes) -> tuple[CallbackEvent | MalformedMessage, ...]:
    """Read every event of a callback; one that lacks id, type, time or data comes back as its fault.

    Raises:
        MalformedMessage: the body is no JSON, or holds no event.
    """
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedMessage("body: not valid JSON") from error
    items = decoded if isinstance(decoded, list) else [decoded]
    if not items:
        raise MalformedMessage("body: no event in it")
    return tuple(_read_event(item, f"event {index}") for index, item in enumerate(items))


def _read_event(item: object, where: str) -> CallbackEvent | MalformedMessage:
    try:
        return _event(item, where)
    except MalformedMessage as fault:
        return fault


def _event(item: object, where: str) -> CallbackEvent:
    if not isinstance(item, dict):
        raise MalformedMessage(f"{where}: must be an object")
    data = mapping(item, "data", where=where)
    result = data.get("resultInformation")
    try:
        at = parse_time(text(item, "time", where=where))
    except MalformedMessage:
        raise
    except (ValueError, OverflowError):
        raise MalformedMessage(f"{where}: 'time' must be an ISO 8601 time") from None
    return CallbackEvent(
        event_id=text(item, "id", where=where),
        name=text(item, "type", where=where).removeprefix(PREFIX),
        at=at,
        call_connection_id=optional_text(data, "callConnectionId", where=where),
        code=_number(result, "code"),
        sub_code=_number(result, "subCode"),
        data=data,
    )


def _number(result: object, name: str) -> int:
    value = result.get(name) if isinstance(result, dict) else None
    return value if isinstance(value, int) else 0
