"""Call Automation callbacks: arrays of CloudEvents, usually of one.

Types and members that we do not know are kept, never refused: real captures hold more than the
specification names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.acs.shapes import MalformedMessage, mapping, moment, optional_text, read_each, text
from shared.core.callbacks import AcsResult

PREFIX = "Microsoft.Communication."
MAX_CALLBACK_BYTES = 256 * 1024
"""A callback is about 1 KB; ParticipantsUpdated of a large group is the longest."""
MAX_CODE = 2**31 - 1
"""That a column of the call's row holds; the longest that the service documents have six digits."""


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """One callback event. `name` is the type without its prefix; `at` is Unix seconds."""

    event_id: str
    name: str
    at: float
    call_connection_id: str
    """Empty for a type that names none."""
    result: AcsResult
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
    return CallbackEvent(
        event_id=text(item, "id", where=where),
        name=text(item, "type", where=where).removeprefix(PREFIX),
        at=moment(item, "time", where=where),
        call_connection_id=optional_text(data, "callConnectionId", where=where),
        result=read_result(data),
        data=data,
    )


def read_result(data: Mapping[str, Any]) -> AcsResult:
    """Read the numbers of a callback's `resultInformation`, those that are there."""
    result = data.get("resultInformation")
    sip = result.get("sipDetails") if isinstance(result, dict) else None
    return AcsResult(
        code=_number(result, "code"), sub_code=_number(result, "subCode"), sip_code=_number(sip, "code")
    )


def _number(source: object, name: str) -> int:
    value = source.get(name) if isinstance(source, dict) else None
    # Not `isinstance`: true is an int, and would not be read back as one.
    return value if type(value) is int and 0 <= value <= MAX_CODE else 0
