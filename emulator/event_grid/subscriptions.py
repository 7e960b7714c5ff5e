"""Event subscriptions: who wants which events, in which envelope, and how hard Event Grid is to try."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from emulator.addresses import is_permitted
from emulator.event_grid.events import DeliverySchema
from emulator.event_grid.filters import EventFilter

MAX_HEADERS = 10
MAX_HEADER_BYTES = 4096

WELL_KNOWN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-request-callback",
        "webhook-request-origin",
        "webhook-request-rate",
    }
)
"""Headers that belong to the request itself: dropped silently, as Event Grid does with malformed well-known ones."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_NAME = re.compile(r"[A-Za-z0-9-]{3,64}")


class SubscriptionRefused(Exception):
    """The subscription cannot be created; the text says why."""


class ProvisioningState(StrEnum):
    """Whether a subscription delivers yet."""

    SUCCEEDED = "Succeeded"
    AWAITING_MANUAL_ACTION = "AwaitingManualAction"
    FAILED = "Failed"


class EventSubscription(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True
):
    """One event subscription.

    Attributes:
        name: 3 to 64 letters, digits and hyphens.
        endpoint: the webhook's URL; `http://` only on a loopback address.
        headers: delivery properties, sent with the handshake and every delivery.
        max_events_per_batch: turns batching on; events published together then arrive together.
    """

    name: str
    endpoint: str
    schema: DeliverySchema = DeliverySchema.EVENT_GRID
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    filter: EventFilter = EventFilter()
    max_delivery_attempts: Annotated[int, msgspec.Meta(ge=1, le=30)] = 30
    event_time_to_live_in_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 1440
    max_events_per_batch: Annotated[int, msgspec.Meta(ge=1, le=5000)] | None = None

    @property
    def sent_headers(self) -> Mapping[str, str]:
        """`headers` without those that are dropped."""
        return {name: value for name, value in self.headers.items() if name.lower() not in WELL_KNOWN_HEADERS}

    @property
    def ttl_seconds(self) -> int:
        """How old an event may be when its next attempt is due."""
        return self.event_time_to_live_in_minutes * 60


def read_subscription(name: str, content: object) -> EventSubscription:
    """Check a subscription's JSON as the management API would.

    Raises:
        SubscriptionRefused: with everything that is wrong.
    """
    if not isinstance(content, dict):
        raise SubscriptionRefused("A subscription is a JSON object.")
    try:
        subscription = msgspec.convert({**content, "name": name}, EventSubscription)
    except msgspec.ValidationError as error:
        raise SubscriptionRefused(f"The subscription is not valid: {error}.") from None
    faults = [*_faults(subscription), *subscription.filter.faults()]
    if faults:
        raise SubscriptionRefused(f"The subscription is not valid: {'; '.join(faults)}.")
    return subscription


def _faults(subscription: EventSubscription) -> list[str]:
    found = []
    if not _NAME.fullmatch(subscription.name):
        found.append("name must be 3 to 64 letters, digits and hyphens")
    if not is_permitted(subscription.endpoint, secure="https", plain="http"):
        found.append("endpoint must be an https:// URL (http:// only for a loopback address)")
    if len(subscription.headers) > MAX_HEADERS:
        found.append(f"more than {MAX_HEADERS} headers")
    for header, value in subscription.headers.items():
        if header.lower().startswith("aeg-"):
            found.append(f"header {header}: the aeg- prefix is Event Grid's own")
        if not _HEADER_NAME.fullmatch(header):
            found.append("a header's name has a character that no name may have")
        if not _HEADER_VALUE.fullmatch(value):
            found.append(f"header {header} has a line break or another control character")
        elif len(value.encode()) > MAX_HEADER_BYTES:
            found.append(f"header {header} is longer than {MAX_HEADER_BYTES} bytes")
    return found
