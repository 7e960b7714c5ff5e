"""Telling Event Grid that a call rings, and the call how that went."""

from collections.abc import Callable

import msgspec

from emulator.call import Call
from emulator.event_grid.delivery import DeliveryReport
from emulator.event_grid.events import Event
from emulator.event_grid.grid import EventGrid
from emulator.wire.incoming_call import INCOMING_CALL, IncomingCallData, incoming_call_subject


def announcer(event_grid: EventGrid) -> Callable[[Call], None]:
    """A function that publishes the IncomingCall event of a ringing call.

    Every delivery attempt becomes a happening of the call (`delivered`, `delivery_failed`); so does it when no
    subscription wants the event.
    """

    def announce(call: Call) -> None:
        def report(delivery: DeliveryReport) -> None:
            call.note(
                "delivered" if delivery.result.delivered else "delivery_failed",
                subscription=delivery.subscription,
                attempt=delivery.attempt,
                outcome=delivery.result.outcome,
                status=delivery.result.status or 0,
            )

        data = IncomingCallData(
            to=call.to,
            from_=call.from_,
            server_call_id=call.server_call_id,
            caller_display_name="",
            custom_context=call.custom_context,
            incoming_call_context=call.incoming_call_context,
            correlation_id=call.correlation_id,
        )
        event = Event(
            type=INCOMING_CALL,
            subject=incoming_call_subject(data),
            data=msgspec.to_builtins(data),
            call_names=call.names,
            thing=call.thing,
        )
        if not event_grid.publish([event], report):
            call.note("delivery_failed", outcome="NoSubscription")

    return announce
