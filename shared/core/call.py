"""The record of one call: what stands in its row, and the only ways it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.call_state import CallEvent, CallState, Cause, cause_of, next_state
from shared.core.callbacks import CAUSES_OF_CODES, AcsResult, cause_of_codes
from shared.core.profiles import AgentProfile

HISTORY_LIMIT = 64
"""Entries kept of a call's history; later ones are counted only. A call without trouble makes about six."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event of a call: when (Unix seconds), what, and the state after it; `refused` if it did not fit.

    `result` is what ACS said of it, where it came with a callback.
    """

    at: float
    event: CallEvent
    state: CallState
    refused: bool = False
    result: AcsResult | None = None


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Unix seconds at which a call reached its milestones; None where it has not."""

    created: float
    answered: float | None = None
    streaming: float | None = None
    first_agent_audio: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One ACS call connection as the gateway sees it."""

    call_id: str
    account_id: str
    profile: AgentProfile
    caller: str = field(repr=False)
    """Raw id of the caller: personal data."""
    called: str = field(repr=False)
    """Raw id of the called party."""
    correlation_id: str
    server_call_id: str
    variables: Mapping[str, str] = field(repr=False)
    media_jti: str
    """Id of the one media token minted for the call; when it is good for a second socket, `ownership.py` says."""
    traceparent: str
    times: CallTimes
    state: CallState = CallState.RINGING
    cause: Cause | None = None
    acs_result: AcsResult | None = None
    """What ACS said of the end of the call, or of an answer that failed."""
    call_connection_id: str | None = None
    media_jti_used: bool = False
    owner: str | None = None
    """Name of the pod that holds the media socket."""
    slot: str | None = None
    """The place among the account's calls that this one takes, where their number is limited."""
    output: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Output variables: what the agent has set, and leaves with the call."""
    return_to: str | None = field(default=None, repr=False)
    """Raw id of whom the call goes back to when the agent is done with it; None: it came from nobody."""
    task: str = field(default="", repr=False)
    """Name of the task that the agent was given with the call; empty: none."""
    epoch: int = 0
    """Raised by each change of owner; a write with an older epoch is refused."""
    media_asked: str = ""
    """Operation context of the media that were asked for because those before failed and no pod held the call; empty:
    none were since a pod last took it."""
    media_grant_until: float | None = None
    """Unix seconds: until then a media socket may come again, for somebody has asked ACS to open it."""
    history: tuple[HistoryEntry, ...] = ()
    history_dropped: int = 0


class WrongConnection(Exception):
    """A callback or a socket names another ACS connection than the one that the call is bound to."""


def advance(record: CallRecord, event: CallEvent, now: float, result: AcsResult | None = None) -> CallRecord:
    """Apply `event` at `now` (Unix seconds): the state, the cause, the milestones and the history.

    An event that does not fit the state is kept in the history as refused and changes nothing else. `result` is
    what ACS said of it, where it came with a callback: its codes tell the cause of an end more exactly.
    """
    after = next_state(record.state, event)
    entry = HistoryEntry(now, event, after or record.state, refused=after is None, result=result)
    if len(record.history) < HISTORY_LIMIT:
        record = replace(record, history=(*record.history, entry))
    else:
        record = replace(record, history_dropped=record.history_dropped + 1)
    if after is None:
        return record
    return replace(
        record,
        state=after,
        cause=record.cause or (result and cause_of_codes(event, result)) or cause_of(record.state, event),
        acs_result=result if event in CAUSES_OF_CODES else record.acs_result,
        times=_milestones(record.times, after, now),
    )


def _milestones(times: CallTimes, state: CallState, now: float) -> CallTimes:
    if state is CallState.STREAMING:
        times = replace(times, streaming=times.streaming or now)
    if state in (CallState.CONNECTED, CallState.STREAMING):
        times = replace(times, answered=times.answered or now)
    if state.is_final:
        times = replace(times, ended=now)
    return times


def bind_connection(record: CallRecord, call_connection_id: str) -> CallRecord:
    """Bind the call to ACS's connection id: the answer's return, a callback or the socket, whichever is first.

    Raises:
        WrongConnection: the call is bound to another one already.
    """
    if record.call_connection_id == call_connection_id:
        return record
    if record.call_connection_id is not None:
        raise WrongConnection
    return replace(record, call_connection_id=call_connection_id)
