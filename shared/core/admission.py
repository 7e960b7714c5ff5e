"""Whether there is room for one more call, and what becomes of one that there is none for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.acs.identifiers import PHONE_PREFIX

HEARTBEAT_FRESH_S = 5.0
"""Pods beat every second; one that was silent this long takes no calls."""


@dataclass(frozen=True, slots=True)
class PodLoad:
    """What a pod last said: calls it holds, calls it can hold, and when (Unix seconds)."""

    name: str
    calls: int
    capacity: int
    at: float
    held: tuple[str, ...] = ()
    """Ids of the calls that it owns, for whoever finds it dead; not read with the rest."""


class Room(StrEnum):
    """The answer; UNKNOWN is no reason to turn a caller away."""

    FREE = "free"
    FULL = "full"
    UNKNOWN = "unknown"


def room(pods: Sequence[PodLoad] | None, pending: int, now: float) -> Room:
    """Say whether the live pods have room for one more call.

    Args:
        pods: what the pods last said; None, where the store did not answer, is unknown, not empty.
        pending: calls answered that no pod can have counted yet.
        now: Unix seconds.
    """
    if pods is None:
        return Room.UNKNOWN
    live = [pod for pod in pods if now - pod.at <= HEARTBEAT_FRESH_S]
    free = sum(max(0, pod.capacity - pod.calls) for pod in live)
    return Room.FREE if free > pending else Room.FULL


def redirect_target(
    overflow_to: str | None, *, caller: str, called: str, own_numbers: Collection[str]
) -> str | None:
    """Return whom a call is redirected to that there is no room for; None rejects it as busy. All are raw ids.

    ACS redirects only calls that came from a phone. A target that is one of our own numbers would ring here
    again, and find no room again.
    """
    if overflow_to is None or not caller.startswith(PHONE_PREFIX):
        return None
    return None if overflow_to == called or overflow_to in own_numbers else overflow_to
