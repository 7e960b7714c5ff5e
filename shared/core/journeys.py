"""A caller's journey through several calls: where one goes on, and whether one has come round in a circle.

Every call of a journey has the same correlation id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.core.call import CallRecord
from shared.core.variables import RETURN_TO, ReturnOutcome, returned

MAX_PASSES = 10
"""Calls of one journey that an IVR answers: nobody who gets anywhere is sent round so often."""


@dataclass(frozen=True, slots=True)
class WayOn:
    """A transfer of a call."""

    target: str = field(repr=False)
    """Raw id."""
    variables: Mapping[str, str] = field(repr=False)
    caller_id: str | None = field(default=None, repr=False)


def ways_from_a_lost_agent(record: CallRecord) -> Iterator[WayOn]:
    """Yield where a call may go that has no agent any more, the best first: back, then on as the profile says."""
    variables = _variables_of(record)
    if record.return_to is not None:
        yield WayOn(record.return_to, returned(variables, ReturnOutcome.FAILED))
    fallback = record.profile.fallback
    if fallback is not None:
        yield WayOn(fallback.transfer, variables, fallback.caller_id)


def way_asked_for(record: CallRecord, target: str) -> WayOn | None:
    """Return the transfer that an agent has asked for; None: it asks for a way back, and there is none."""
    variables = _variables_of(record)
    if target != RETURN_TO:
        return WayOn(target, variables, record.profile.transfer_caller_id)
    if record.return_to is None:
        return None
    return WayOn(record.return_to, returned(variables, ReturnOutcome.AGENT))


def way_after_the_agent(record: CallRecord) -> WayOn | None:
    """Return where a call goes whose agent has ended it; None: nowhere."""
    if record.return_to is None:
        return None
    return WayOn(record.return_to, returned(_variables_of(record), ReturnOutcome.SYSTEM))


def _variables_of(record: CallRecord) -> dict[str, str]:
    """Return what leaves with a call: first what the agent learned, for where there is too much the first go."""
    return {**record.output, **record.variables, **record.output}


@dataclass(frozen=True, slots=True)
class Pass:
    """An earlier call of a journey, at the IVR."""

    transferred_to: str = field(default="", repr=False)
    """Raw id of whom it was last sent on to; empty: nobody."""


class Arrival(StrEnum):
    """What a call is that comes to the IVR."""

    NEW = "new"
    BACK = "back"
    """Whoever had it from the IVR sends it back."""
    LOOP = "loop"
    """Our own transfer comes to us, or the journey goes round without end: it must not be answered."""


def arrival(earlier: Sequence[Pass], *, called: str, outcome: str) -> Arrival:
    """Say what a call is.

    Args:
        earlier: its journey's earlier calls at the IVR.
        called: raw id that it is for.
        outcome: why it is sent back, by its own context; others than `ReturnOutcome` count as none.
    """
    if len(earlier) >= MAX_PASSES:
        return Arrival.LOOP
    if earlier and outcome in list(ReturnOutcome):
        return Arrival.BACK
    if any(call.transferred_to == called for call in earlier):
        return Arrival.LOOP
    return Arrival.NEW
