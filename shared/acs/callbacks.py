"""Call Automation callbacks: arrays of CloudEvents, usually of one.

Types and members that we do not know are kept, never refused: real captures hold more than the
specification names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.acs.shapes import MalformedMessage, mapping, moment, optional_text, read_each, text

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
    return read_each(body, _event)


def _event(item: object, where: str) -> CallbackEvent:
    if not isinstance(item, dict):
        raise MalformedMessage(f"{where}: must be an object")
    data = mapping(item, "data", where=where)
    result = data.get("resultInformation")
    return CallbackEvent(
        event_id=text(item, "id", where=where),
        name=text(item, "type", where=where).removeprefix(PREFIX),
        at=moment(item, "time", where=where),
        call_connection_id=optional_text(data, "callConnectionId", where=where),
        code=_number(result, "code"),
        sub_code=_number(result, "subCode"),
        data=data,
    )


def _number(result: object, name: str) -> int:
    value = result.get(name) if isinstance(result, dict) else None
    return value if isinstance(value, int) else 0
