"""What becomes of a call that no pod holds, and that ACS cannot stream: nobody else would ever speak on it.

| what ACS tells                                  | the call        | what ACS is then asked for       |
|-------------------------------------------------|-----------------|----------------------------------|
| media failed, or stopped; none were asked for   | `media_asked`   | media, once more                 |
| media failed from before those asked for        | as it is        | nothing: it is no news           |
| those that were asked for failed too            | FALLBACK        | the first resort                 |
| a resort failed that was a transfer             | FALLBACK        | the next resort                  |
| the apology was heard, or could not be played   | ENDING          | to hang up                       |
| it is up, though its row was closed as missed   | as it is        | to hang up                       |

Whoever wrote the row asks; a callback that comes again finds it written, and asks for nothing but the hang-up. A pod
that takes the call meanwhile ends all this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from shared.core.call import CallRecord, advance
from shared.core.call_state import WITHOUT_MEDIA, CallEvent, CallState
from shared.core.callbacks import EVENT_OF_CALLBACK, is_old_media
from shared.core.journeys import WayOn, ways_from_a_lost_agent
from shared.core.ownership import MEDIA_GRANT_S

_PLAYED = frozenset({"PlayCompleted", "PlayFailed"})
STOPPED = "MediaStreamingStopped"
"""Of a call that is not over, and whose pod has not asked for it."""


@dataclass(frozen=True, slots=True)
class StartMedia:
    """ACS is to open the media socket again; `context` comes back where it cannot."""

    context: str


@dataclass(frozen=True, slots=True)
class TryResort:
    """The caller gets the resort of this number, or a later one."""

    number: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call ends."""


ToDo: TypeAlias = StartMedia | TryResort | HangUp


def resorts(record: CallRecord) -> Sequence[WayOn | None]:
    """Return what is left for a caller without media, the best first; None is an apology, and the last."""
    return [*ways_from_a_lost_agent(record), None]


def context_of(record: CallRecord, number: int) -> str:
    """Return the operation context by which ACS tells how a resort went."""
    return f"{record.call_id}-resort-{number}"


def meaning_of(record: CallRecord, name: str, data: Mapping[str, Any]) -> CallEvent | None:
    """Return what a callback does to a call that no pod holds, by its type without the prefix; None: nothing."""
    if name == STOPPED:
        return CallEvent.MEDIA_STREAMING_FAILED
    if name in _PLAYED and _number(record, data) is not None:
        return CallEvent.FALLBACK_DONE
    return EVENT_OF_CALLBACK.get(name)


def without_media(record: CallRecord, data: Mapping[str, Any], now: float) -> CallRecord:
    """Return a call after MEDIA_STREAMING_FAILED was applied to it. `now` is Unix seconds."""
    if record.state not in WITHOUT_MEDIA or is_old_media(data, record.media_asked):
        return record
    if record.media_asked:
        return advance(record, CallEvent.FALLBACK_STARTED, now)
    return replace(record, media_asked=f"{record.call_id}-again", media_grant_until=now + MEDIA_GRANT_S)


def given_up(record: CallRecord, asked: CallRecord, now: float) -> CallRecord:
    """Return the call for which ACS did not take the request for media; itself where media, or a pod, came since.

    `asked` is the call as it was when they were asked for.
    """
    if record.state not in WITHOUT_MEDIA or record.epoch != asked.epoch:
        return record
    return advance(record, CallEvent.FALLBACK_STARTED, now)


def to_do(
    before: CallRecord, after: CallRecord, meaning: CallEvent | None, data: Mapping[str, Any]
) -> ToDo | None:
    """Return what ACS is to be asked for, once a callback has changed a call that no pod holds.

    Args:
        before: the call as it was.
        after: the call with the callback applied; the same object where that changed nothing.
        meaning: what the callback means to it.
        data: the callback's.
    """
    if after.state.is_final:
        is_up = meaning in (CallEvent.CALL_CONNECTED, CallEvent.MEDIA_STREAMING_FAILED)
        return HangUp() if is_up and after.state is not CallState.ENDED else None
    if meaning is CallEvent.FALLBACK_DONE:
        return HangUp() if after.state is CallState.ENDING else None
    if after is before:
        return None
    if after.media_asked != before.media_asked:
        return StartMedia(after.media_asked)
    if after.state is not CallState.FALLBACK:
        return None
    if before.state is not CallState.FALLBACK:
        return TryResort(0)
    number = _number(after, data) if meaning is CallEvent.TRANSFER_FAILED else None
    return None if number is None else TryResort(number + 1)


def _number(record: CallRecord, data: Mapping[str, Any]) -> int | None:
    """Return the number of the resort that a callback tells of."""
    contexts = [context_of(record, number) for number in range(len(resorts(record)))]
    context = data.get("operationContext")
    return contexts.index(context) if context in contexts else None
