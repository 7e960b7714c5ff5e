"""Event Grid deliveries: two envelopes, and the events of Communication Services inside them.

Source: Event Grid's schema pages; the facts that surprise are named where they matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.acs.identifiers import Identifier, read_identifier
from shared.acs.shapes import MalformedMessage, mapping, moment, optional_text, read_each, text

INCOMING_CALL = "Microsoft.Communication.IncomingCall"
SUBSCRIPTION_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
MAX_DELIVERY_BYTES = 1024 * 1024
"""Event Grid's own limit for one delivery."""
MAX_VALIDATION_BYTES = 64 * 1024
"""A validation of a subscription comes alone and is below 4 KB; strangers may send one."""


@dataclass(frozen=True, slots=True)
class GridEvent:
    """One event, whichever envelope it came in. `at` is Unix seconds."""

    event_id: str
    type: str
    at: float
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call that rings. The context is single use and a secret; it is good for about 30 s."""

    caller: Identifier
    called: Identifier
    server_call_id: str
    correlation_id: str
    context: str = field(repr=False)
    voip_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sip_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_delivery(body: bytes) -> tuple[GridEvent | MalformedMessage, ...]:
    """Read every event of a delivery: an array or a single object, in either envelope.

    An event that lacks what every event has comes back as its fault, so that the others are not lost with it.

    Raises:
        MalformedMessage: the body is no JSON, or holds no event.
    """
    return read_each(body, _event)


def _event(item: object, where: str) -> GridEvent:
    if not isinstance(item, dict):
        raise MalformedMessage(f"{where}: must be an object")
    is_cloud_event = "specversion" in item
    type_name, time_name = ("type", "time") if is_cloud_event else ("eventType", "eventTime")
    return GridEvent(
        event_id=text(item, "id", where=where),
        type=text(item, type_name, where=where),
        at=moment(item, time_name, where=where),
        # Of other types than ours, data may be anything: a CloudEvent may carry a text.
        data=item["data"] if isinstance(item.get("data"), dict) else {},
    )


def read_validation_code(event: GridEvent) -> str:
    """Return the code that the subscription validation wants echoed."""
    return text(event.data, "validationCode", where="validation event")


def read_incoming_call(event: GridEvent) -> IncomingCall:
    """Read the data of an IncomingCall event.

    Raises:
        MalformedMessage: a member that answering needs is missing or of the wrong type.
    """
    where = "IncomingCall"
    custom = event.data.get("customContext")
    return IncomingCall(
        caller=read_identifier(mapping(event.data, "from", where=where), where=f"{where} from"),
        called=read_identifier(mapping(event.data, "to", where=where), where=f"{where} to"),
        server_call_id=optional_text(event.data, "serverCallId", where=where),
        correlation_id=optional_text(event.data, "correlationId", where=where),
        context=text(event.data, "incomingCallContext", where=where),
        voip_headers=_read_headers(custom, "voipHeaders"),
        sip_headers=_read_headers(custom, "sipHeaders"),
    )


def _read_headers(custom: object, name: str) -> Mapping[str, str]:
    """Keep the string pairs; the rest is not a header, and no reason to lose a call."""
    pairs = custom.get(name) if isinstance(custom, dict) else None
    if not isinstance(pairs, dict):
        return {}
    return {key: value for key, value in pairs.items() if isinstance(value, str)}
