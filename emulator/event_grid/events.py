"""An event apart from its envelope, and the two envelopes in which it is delivered."""

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from emulator.wire.timestamps import event_grid_time

TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg1"
    "/providers/microsoft.communication/communicationservices/acs1"
)
"""The ACS resource as the EventGridSchema envelope writes it."""

SOURCE = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg1"
    "/providers/Microsoft.Communication/communicationServices/acs1"
)
"""The same resource as CloudEvents write it: published samples differ in casing between the envelopes."""

DATA_VERSION = "1.0"
METADATA_VERSION = "1"
CLOUD_EVENTS_VERSION = "1.0"


class DeliverySchema(StrEnum):
    """The envelope that a subscription asks for."""

    EVENT_GRID = "EventGridSchema"
    CLOUD_EVENTS = "CloudEventSchemaV1_0"


@dataclass(frozen=True)
class Event:
    """One event, before it is known who gets it in which envelope.

    Attributes:
        type: for example `Microsoft.Communication.IncomingCall`.
        subject: what the event is about.
        data: the payload, as JSON values.
        time: when it happened, as text.
        call_names: what fault rules may call the call by that it is about, if it is about one.
        thing: to fault rules the same in every run for the same event.
    """

    type: str
    subject: str
    data: Any
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: str = field(default_factory=event_grid_time)
    data_version: str = DATA_VERSION
    call_names: frozenset[str] = frozenset()
    thing: str = ""

    def envelope(self, schema: DeliverySchema) -> dict[str, Any]:
        """The event as JSON values in one of the two envelopes."""
        if schema is DeliverySchema.EVENT_GRID:
            return {
                "id": self.id,
                "topic": TOPIC,
                "subject": self.subject,
                "data": self.data,
                "eventType": self.type,
                "dataVersion": self.data_version,
                "metadataVersion": METADATA_VERSION,
                "eventTime": self.time,
            }
        return {
            "id": self.id,
            "source": SOURCE,
            "subject": self.subject,
            "type": self.type,
            "specversion": CLOUD_EVENTS_VERSION,
            "time": self.time,
            "data": self.data,
        }


class PublishedEvent(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A raw event as a tester publishes it, in either envelope; what is missing is made up."""

    id: str | None = None
    type: str | None = None
    event_type: str | None = None
    subject: str = ""
    time: str | None = None
    event_time: str | None = None
    data: Any = None
    data_version: str = DATA_VERSION

    def event(self) -> Event:
        """The event inside.

        Raises:
            ValueError: it has no type.
        """
        event_type = self.event_type or self.type
        if event_type is None:
            raise ValueError("an event needs 'eventType' (EventGridSchema) or 'type' (CloudEvents)")
        return Event(
            type=event_type,
            subject=self.subject,
            data=self.data,
            id=self.id or str(uuid.uuid4()),
            time=self.event_time or self.time or event_grid_time(),
            data_version=self.data_version,
        )
