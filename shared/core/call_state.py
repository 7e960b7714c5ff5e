"""What a call may do in each state.

The owner pod runs this machine; the Functions app runs it only for a call that no pod owns. Events may come
late, twice and in any order (ACS promises none), so an event that does not fit the state changes nothing and
is never an error: `next_state` says None, and the call's history says that it was refused.
"""

from collections.abc import Mapping
from enum import StrEnum


class CallState(StrEnum):
    """Where a call stands. ENDED, MISSED, REJECTED and REDIRECTED are final."""

    RINGING = "ringing"
    ANSWERING = "answering"
    CONNECTED = "connected"
    STREAMING = "streaming"
    TRANSFERRING = "transferring"
    """The agent has sent the caller on; media stays up until the transfer is accepted."""
    INTERRUPTED = "interrupted"
    ENDING = "ending"
    ENDED = "ended"
    MISSED = "missed"
    REJECTED = "rejected"
    REDIRECTED = "redirected"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the call any more."""
        return self in FINAL


FINAL = frozenset({CallState.ENDED, CallState.MISSED, CallState.REJECTED, CallState.REDIRECTED})


class CallEvent(StrEnum):
    """What happens to a call, from whatever side."""

    ANSWER_SENT = "answer_sent"
    NO_ROOM = "no_room"
    """No pod has room."""
    ACCOUNT_FULL = "account_full"
    """The account has as many calls as it may."""
    AGENT_BUSY = "agent_busy"
    """The agent's service has opened as many sessions in this minute as it does."""
    CALLER_BLOCKED = "caller_blocked"
    REJECT_SENT = "reject_sent"
    REDIRECT_SENT = "redirect_sent"
    RING_EXPIRED = "ring_expired"
    CALLER_GONE = "caller_gone"
    """ACS refused the answer: the context is no longer good."""
    ANSWER_FAILED = "answer_failed"
    """ACS accepted the answer, and then could not connect."""
    CALL_CONNECTED = "call_connected"
    MEDIA_STARTED = "media_started"
    MEDIA_LOST = "media_lost"
    MEDIA_INVALID = "media_invalid"
    MEDIA_FAILED = "media_failed"
    """ACS cannot stream, and no pod holds the call: nobody would ever speak."""
    INTERRUPTION_EXPIRED = "interruption_expired"
    AGENT_ENDED = "agent_ended"
    AGENT_FAILED = "agent_failed"
    TRANSFER_REQUESTED = "transfer_requested"
    """The agent has, and the caller has heard what it said to it."""
    TRANSFER_FAILED = "transfer_failed"
    DURATION_REACHED = "duration_reached"
    PROCESS_STOPPING = "process_stopping"
    CALL_DISCONNECTED = "call_disconnected"
    HUNG_UP = "hung_up"
    """Our own hang-up is done, or can no longer be done."""


class Cause(StrEnum):
    """Why a call ended, or was never answered."""

    AGENT_ENDED = "agent_ended"
    AGENT_FAILED = "agent_failed"
    CALLER_HUNG_UP = "caller_hung_up"
    MEDIA_LOST = "media_lost"
    MEDIA_INVALID = "media_invalid"
    MAX_DURATION = "max_duration"
    PROCESS_STOPPED = "process_stopped"
    ANSWER_FAILED = "answer_failed"
    CALLER_GONE = "caller_gone"
    RING_EXPIRED = "ring_expired"
    NO_ROOM = "no_room"
    ACCOUNT_FULL = "account_full"
    AGENT_BUSY = "agent_busy"
    CALLER_BLOCKED = "caller_blocked"


_S, _E = CallState, CallEvent

_ENDS_FOR_US: Mapping[CallEvent, CallState] = {
    _E.AGENT_ENDED: _S.ENDING,
    _E.AGENT_FAILED: _S.ENDING,
    _E.MEDIA_INVALID: _S.ENDING,
    _E.MEDIA_FAILED: _S.ENDING,
    _E.DURATION_REACHED: _S.ENDING,
    _E.PROCESS_STOPPING: _S.ENDING,
    _E.CALL_DISCONNECTED: _S.ENDED,
}

TRANSITIONS: Mapping[CallState, Mapping[CallEvent, CallState]] = {
    _S.RINGING: {
        _E.ANSWER_SENT: _S.ANSWERING,
        # Why it is not answered, which gives the call its cause; what is done about it is the next event.
        _E.NO_ROOM: _S.RINGING,
        _E.ACCOUNT_FULL: _S.RINGING,
        _E.AGENT_BUSY: _S.RINGING,
        _E.CALLER_BLOCKED: _S.RINGING,
        _E.REJECT_SENT: _S.REJECTED,
        _E.REDIRECT_SENT: _S.REDIRECTED,
        _E.RING_EXPIRED: _S.MISSED,
        _E.CALLER_GONE: _S.MISSED,
    },
    # Callbacks and the media socket prove that a call was answered, whatever the answer's own return says;
    # they may overtake it, and media may overtake CallConnected.
    _S.ANSWERING: {
        _E.CALL_CONNECTED: _S.CONNECTED,
        _E.MEDIA_STARTED: _S.STREAMING,
        _E.ANSWER_FAILED: _S.ENDED,
        _E.CALLER_GONE: _S.MISSED,
        _E.RING_EXPIRED: _S.MISSED,
        **_ENDS_FOR_US,
    },
    _S.CONNECTED: {_E.MEDIA_STARTED: _S.STREAMING, _E.ANSWER_FAILED: _S.ENDED, **_ENDS_FOR_US},
    _S.STREAMING: {
        _E.MEDIA_LOST: _S.INTERRUPTED,
        _E.TRANSFER_REQUESTED: _S.TRANSFERRING,
        **_ENDS_FOR_US,
    },
    _S.TRANSFERRING: {
        _E.MEDIA_LOST: _S.INTERRUPTED,
        _E.TRANSFER_FAILED: _S.STREAMING,
        **_ENDS_FOR_US,
    },
    _S.INTERRUPTED: {_E.MEDIA_STARTED: _S.STREAMING, _E.INTERRUPTION_EXPIRED: _S.ENDING, **_ENDS_FOR_US},
    _S.ENDING: {_E.CALL_DISCONNECTED: _S.ENDED, _E.HUNG_UP: _S.ENDED},
    _S.ENDED: {},
    _S.MISSED: {},
    _S.REJECTED: {},
    _S.REDIRECTED: {},
}

CAUSES: Mapping[CallEvent, Cause] = {
    _E.NO_ROOM: Cause.NO_ROOM,
    _E.ACCOUNT_FULL: Cause.ACCOUNT_FULL,
    _E.AGENT_BUSY: Cause.AGENT_BUSY,
    _E.CALLER_BLOCKED: Cause.CALLER_BLOCKED,
    _E.REJECT_SENT: Cause.NO_ROOM,
    _E.REDIRECT_SENT: Cause.NO_ROOM,
    _E.RING_EXPIRED: Cause.RING_EXPIRED,
    _E.CALLER_GONE: Cause.CALLER_GONE,
    _E.ANSWER_FAILED: Cause.ANSWER_FAILED,
    _E.MEDIA_INVALID: Cause.MEDIA_INVALID,
    _E.INTERRUPTION_EXPIRED: Cause.MEDIA_LOST,
    _E.MEDIA_FAILED: Cause.MEDIA_LOST,
    _E.AGENT_ENDED: Cause.AGENT_ENDED,
    _E.AGENT_FAILED: Cause.AGENT_FAILED,
    _E.DURATION_REACHED: Cause.MAX_DURATION,
    _E.PROCESS_STOPPING: Cause.PROCESS_STOPPED,
    _E.CALL_DISCONNECTED: Cause.CALLER_HUNG_UP,
}
"""The cause that an event gives to a call that has none yet: the first reason to end is the one that counts."""


def next_state(state: CallState, event: CallEvent) -> CallState | None:
    """Return the state after `event`, or None where the event does not fit and changes nothing."""
    return TRANSITIONS[state].get(event)
