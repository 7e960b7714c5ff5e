"""What upkeep may close and what it may delete: rules only, with the time as an argument."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from shared.core.admission import HEARTBEAT_FRESH_S
from shared.core.call import CallRecord, advance
from shared.core.call_state import CallEvent, CallState, Cause

ANSWER_MARGIN_S = 60.0
"""After the ring deadline: an answer may be sent at the deadline and for as long as its claim is held (8 s), and the
media token that goes with it is good for 30 s."""
SPARE_S = 60.0
"""Past its longest duration a call may be in its goodbye, or its hang-up under way."""
OVER_AFTER_S = 4 * 3600.0
"""Since it was made: a callback token is good for three hours, and no profile may let a call last longer."""
DAY_S = 86400.0
KEPT_VERSIONS = 20
"""The newest ones of the gateway document, whatever their age."""
KEPT_S = 30 * DAY_S
"""For how long a version or a sound stays that nothing refers to, since it was last pushed or put in force."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """When a call that nobody holds is closed. Seconds."""

    ring_deadline_s: float
    """After it a call that was not answered can be answered no more."""
    lost_after_s: float
    """Since the last sign of life of a call without a live owner; until then another pod may take it over."""


def why_closed(
    record: CallRecord, *, owner_seen: float | None, now: float, limits: CallLimits
) -> Cause | None:
    """Return why a call is to be closed because nobody else will; None where it is over, or somebody may.

    Args:
        record: the call as its row has it.
        owner_seen: when its owner last beat (Unix seconds); None: it has none, or one that was forgotten.
        now: Unix seconds.
        limits: the gateway's.
    """
    if record.state.is_final:
        return None
    age_s = now - record.times.created
    # Even its owner lives and beats: it could not write the end, and has forgotten the call since.
    if age_s > OVER_AFTER_S:
        return Cause.ABANDONED
    if owner_seen is not None and now - owner_seen <= HEARTBEAT_FRESH_S:
        return None
    if record.owner is None and record.state in (CallState.RINGING, CallState.ANSWERING):
        is_past = age_s > limits.ring_deadline_s + ANSWER_MARGIN_S
        was_answered = record.state is CallState.ANSWERING and record.call_connection_id is not None
        return (Cause.ABANDONED if was_answered else Cause.RING_EXPIRED) if is_past else None
    answered_at = record.times.answered or record.times.created
    is_silent = now - _last_sign(record, owner_seen) > limits.lost_after_s
    if is_silent or now - answered_at > record.profile.max_duration_s + SPARE_S:
        return Cause.ABANDONED if record.owner is None else Cause.OWNER_LOST
    return None


def closed(record: CallRecord, why: Cause, now: float) -> CallRecord:
    """Return the call as upkeep takes it over: MISSED, or ENDING with the hang-up left to do.

    The epoch is raised, so that an owner which comes back writes nothing more. The entry in the history is a sign
    of life: another run leaves the call alone until `CallLimits.lost_after_s` has passed again.
    """
    if why is Cause.RING_EXPIRED:
        return advance(record, CallEvent.RING_EXPIRED, now)
    fenced = replace(record, epoch=record.epoch + 1, cause=record.cause or why)
    return advance(fenced, CallEvent.UPKEEP_CLOSED, now)


def _last_sign(record: CallRecord, owner_seen: float | None) -> float:
    signs = [record.times.created, *(entry.at for entry in record.history)]
    return max(signs if owner_seen is None else [*signs, owner_seen])


def is_day_over(day: str, *, days: int, now: float) -> bool:
    """Whether all of a day (`yyyy-mm-dd`, UTC) is more than `days` days ago; a name that is no day never is."""
    try:
        return date.fromisoformat(day) < datetime.fromtimestamp(now - days * DAY_S, UTC).date()
    except ValueError:
        return False


def outdated_versions(changed: Mapping[int, float], *, in_force: int, now: float) -> Sequence[int]:
    """Return the versions of the gateway document that nobody will roll back to any more, oldest first.

    Args:
        changed: when each was last pushed or put in force (Unix seconds).
        in_force: the one that is.
        now: Unix seconds.
    """
    newest = sorted(changed)[-KEPT_VERSIONS:]
    return [
        number
        for number, at in sorted(changed.items())
        if number != in_force and number not in newest and now - at > KEPT_S
    ]


def outdated_sounds(changed: Mapping[str, float], *, named: Collection[str], now: float) -> Sequence[str]:
    """Return the sounds that no kept version and no call names; `changed` as of `outdated_versions`."""
    return [name for name, at in changed.items() if name not in named and now - at > KEPT_S]
