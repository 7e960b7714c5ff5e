"""The claim on a ringing call: what makes many deliveries of it one answer.

A claim is a row keyed by the hash of the call's context. Whoever inserts it answers; whoever finds it waits.
A claim whose lease ran out belongs to a process that died or gave up: it is taken over with the *same* ids, so
that ACS recognises the answer as the same request, and a crash in between neither loses nor doubles the call.
"""

import uuid
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.core.call_state import CallEvent

FIRST_RETRY_S = 10.0
"""After which Event Grid delivers again what was answered 500. It next does 30 s later, and nobody rings so long."""
_REQUESTS = uuid.UUID("7d2f9a52-6f0e-4f0b-9c3b-2b1f0d1f4c55")
"""Namespace of our requests' ids."""


class Outcome(StrEnum):
    """How a ringing call went; every one of these is final."""

    ANSWERED = "answered"
    MISSED = "missed"
    REJECTED = "rejected"
    REDIRECTED = "redirected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim on one ringing call. Times are Unix seconds."""

    key: str
    event_id: str
    account_id: str
    """Whose delivery came first: the call is that account's."""
    call_id: str
    media_jti: str
    repeatability_id: str
    """UUID of the answer request: sent again, ACS replays its first reply."""
    made_at: float
    """When the call began to ring: since then the request may have been sent."""
    holder: str
    """Random name of whoever holds the claim: a write whose reply was lost is known by it as one's own."""
    lease_until: float
    attempts: int = 1
    outcome: Outcome | None = None
    closed_by: tuple[CallEvent, ...] = ()
    """Of a call that nobody answered: what happened to it. Its row is written after the claim, perhaps by another."""


def repeatability_id(key: str) -> str:
    """Return the UUID of the requests about the call of a claim: whoever makes one makes the same, claimed or not."""
    return str(uuid.uuid5(_REQUESTS, key))


def is_last_chance(age_s: float, *, ring_deadline_s: float, event_budget_s: float) -> bool:
    """Whether a delivery that begins when the call has rung for `age_s` seconds is the last in time to do something.

    It is, if it is Event Grid's second, or if a second would come too late in case this one takes all its time.
    """
    return age_s >= min(FIRST_RETRY_S, ring_deadline_s - event_budget_s - FIRST_RETRY_S)


class Found(StrEnum):
    """What a delivery does about a claim that is there already."""

    FINISHED = "finished"
    WAIT = "wait"
    TAKE_OVER = "take_over"


def judge(claim: Claim, now: float) -> Found:
    """Say what to do about the claim of another delivery."""
    if claim.outcome is not None:
        return Found.FINISHED
    return Found.WAIT if now < claim.lease_until else Found.TAKE_OVER


def taken_over(claim: Claim, holder: str, now: float, lease_s: float) -> Claim:
    """Return the claim as its next holder writes it: same ids, one attempt more, a lease of its own."""
    return replace(claim, holder=holder, lease_until=now + lease_s, attempts=claim.attempts + 1)


def finished(claim: Claim, outcome: Outcome, closed_by: tuple[CallEvent, ...] = ()) -> Claim:
    """Return the claim with its final outcome."""
    return replace(claim, outcome=outcome, closed_by=closed_by)


def given_up(claim: Claim) -> Claim:
    """Return the claim without its lease: the next delivery may take it over at once."""
    return replace(claim, lease_until=0.0)
