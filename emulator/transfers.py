"""Sending a caller on to somebody else: one try of the application, and what became of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.wire.identifiers import Identifier, PhoneNumber
from emulator.wire.incoming_call import CustomContext


class TransferOutcome(StrEnum):
    """What became of a transfer; all but the first leave the caller with whom they were."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    DECLINED = "declined"
    NOT_ANSWERED = "not_answered"
    CALLER_ID_REFUSED = "caller_id_refused"
    CONFLICT = "conflict"
    CALL_ENDED = "call_ended"


@dataclass(eq=False)
class Transfer:
    """One try to send a caller on.

    Attributes:
        target: whom the application wants the caller to talk to.
        origin: whose the call is until the target has answered.
        caller_id: the number that the target is to see.
        custom_context: headers that come to the target with the call.
        operation_context: the application's own name for it.
        asked_at: seconds since the call was placed.
        settled_at: likewise; None while the target rings.
        outcome: None until then.
        on_settled: told the outcome, once; None afterwards, so that a call that is kept keeps nothing else alive.
        timer: decides for a target that is not the resource's.
    """

    target: Identifier
    origin: Identifier
    caller_id: PhoneNumber | None
    custom_context: CustomContext | None
    operation_context: str | None
    asked_at: float
    on_settled: Callable[[TransferOutcome], None] | None = field(repr=False)
    settled_at: float | None = None
    outcome: TransferOutcome | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def settle(self, outcome: TransferOutcome, *, at: float) -> None:
        """Take the outcome and tell the application; at most once."""
        on_settled, self.on_settled = self.on_settled, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.outcome = outcome
        self.settled_at = at
        if on_settled is not None:
            on_settled(outcome)
