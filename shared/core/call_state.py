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
    FALLBACK = "fallback"
    """The call cannot go on as it was: it is sent on as its profile says, or gets an apology."""
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
    MEDIA_STREAMING_FAILED = "media_streaming_failed"
    """ACS says that it cannot stream. The call stays up, silent, and its owner starts media again; where no pod holds
    it, the Functions app does (`unheld.py`)."""
    MEDIA_FAILED = "media_failed"
    """Media do not come, to a call that they never came to."""
    INTERRUPTION_EXPIRED = "interruption_expired"
    AGENT_ENDED = "agent_ended"
    AGENT_FAILED = "agent_failed"
    TRANSFER_REQUESTED = "transfer_requested"
    """The agent has, and the caller has heard what it said to it."""
    TRANSFER_FAILED = "transfer_failed"
    """ACS refused it, the target did not take it, or nothing was heard of it in time."""
    TRANSFER_ACCEPTED = "transfer_accepted"
    """The caller is somebody else's now; our leg ends by itself."""
    FALLBACK_STARTED = "fallback_started"
    FALLBACK_DONE = "fallback_done"
    """The apology has been heard, or there is nothing left to try."""
    TAKEN_OVER = "taken_over"
    """Another pod than before holds the call."""
    CALLER_SILENT = "caller_silent"
    """As often as the profile lets a caller be."""
    DURATION_REACHED = "duration_reached"
    PROCESS_STOPPING = "process_stopping"
    CALL_DISCONNECTED = "call_disconnected"
    HUNG_UP = "hung_up"
    """Our own hang-up is done, or can no longer be done."""
    UPKEEP_CLOSED = "upkeep_closed"
    """Nobody holds the call any more, and nobody else came to end it."""


class Cause(StrEnum):
    """Why a call ended, or was never answered."""

    AGENT_ENDED = "agent_ended"
    AGENT_FAILED = "agent_failed"
    CALLER_HUNG_UP = "caller_hung_up"
    CALLER_SILENT = "caller_silent"
    TRANSFERRED = "transferred"
    NETWORK_LOST = "network_lost"
    """Between the caller and ACS, or within ACS."""
    DISCONNECTED = "disconnected"
    """ACS ended the call with a code that says neither of the others."""
    MEDIA_LOST = "media_lost"
    MEDIA_INVALID = "media_invalid"
    MAX_DURATION = "max_duration"
    PROCESS_STOPPED = "process_stopped"
    OWNER_LOST = "owner_lost"
    """The pod that held the call is gone, and no other took it over."""
    ABANDONED = "abandoned"
    """No pod ever held the call, or it lasted longer than any may."""
    ANSWER_FAILED = "answer_failed"
    CALLER_GONE = "caller_gone"
    RING_EXPIRED = "ring_expired"
    NO_ROOM = "no_room"
    ACCOUNT_FULL = "account_full"
    AGENT_BUSY = "agent_busy"
    CALLER_BLOCKED = "caller_blocked"


_S, _E = CallState, CallEvent

# What ends a call that was answered, wherever it stands.
_ENDS_FOR_US: Mapping[CallEvent, CallState] = {
    _E.AGENT_ENDED: _S.ENDING,
    _E.AGENT_FAILED: _S.ENDING,
    _E.CALLER_SILENT: _S.ENDING,
    _E.MEDIA_INVALID: _S.ENDING,
    _E.MEDIA_FAILED: _S.ENDING,
    _E.DURATION_REACHED: _S.ENDING,
    _E.PROCESS_STOPPING: _S.ENDING,
    _E.UPKEEP_CLOSED: _S.ENDING,
    # True wherever the row stands: it may lag behind its owner, and an acceptance may come after we have given up.
    _E.TRANSFER_ACCEPTED: _S.ENDING,
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
        # ACS tries again, or a pod that holds the call asks it to: nothing is lost yet that was there.
        _E.MEDIA_STREAMING_FAILED: _S.ANSWERING,
        _E.TAKEN_OVER: _S.ANSWERING,
        # Of an owner whose row nobody told of CallConnected, and whose media never began.
        _E.FALLBACK_STARTED: _S.FALLBACK,
        _E.ANSWER_FAILED: _S.ENDED,
        _E.CALLER_GONE: _S.MISSED,
        _E.RING_EXPIRED: _S.MISSED,
        **_ENDS_FOR_US,
    },
    _S.CONNECTED: {
        _E.MEDIA_STARTED: _S.STREAMING,
        _E.MEDIA_STREAMING_FAILED: _S.CONNECTED,
        _E.TAKEN_OVER: _S.CONNECTED,
        _E.FALLBACK_STARTED: _S.FALLBACK,
        _E.ANSWER_FAILED: _S.ENDED,
        **_ENDS_FOR_US,
    },
    _S.STREAMING: {
        # Again, on the pod that took the call over.
        _E.MEDIA_STARTED: _S.STREAMING,
        _E.MEDIA_LOST: _S.INTERRUPTED,
        _E.MEDIA_STREAMING_FAILED: _S.INTERRUPTED,
        _E.TAKEN_OVER: _S.STREAMING,
        _E.TRANSFER_REQUESTED: _S.TRANSFERRING,
        # Of a transfer during which media was lost and came back.
        _E.TRANSFER_FAILED: _S.STREAMING,
        _E.FALLBACK_STARTED: _S.FALLBACK,
        **_ENDS_FOR_US,
    },
    # Media stays up meanwhile: the caller may hang up, and the agent hears of a failure.
    _S.TRANSFERRING: {
        _E.MEDIA_STARTED: _S.TRANSFERRING,
        _E.MEDIA_LOST: _S.INTERRUPTED,
        _E.MEDIA_STREAMING_FAILED: _S.INTERRUPTED,
        _E.TAKEN_OVER: _S.TRANSFERRING,
        _E.TRANSFER_FAILED: _S.STREAMING,
        _E.FALLBACK_STARTED: _S.FALLBACK,
        **_ENDS_FOR_US,
    },
    # ACS, or a pod that asks it to, brings media back; or the owner gives up.
    _S.INTERRUPTED: {
        _E.MEDIA_STARTED: _S.STREAMING,
        # What ended the media is often told of by socket and by callback; and the second try may fail too.
        _E.MEDIA_LOST: _S.INTERRUPTED,
        _E.MEDIA_STREAMING_FAILED: _S.INTERRUPTED,
        _E.TAKEN_OVER: _S.INTERRUPTED,
        _E.TRANSFER_FAILED: _S.INTERRUPTED,
        _E.FALLBACK_STARTED: _S.FALLBACK,
        _E.INTERRUPTION_EXPIRED: _S.ENDING,
        **_ENDS_FOR_US,
    },
    # The last that a call gets: media and transfers may come and go in it, and nothing leads back.
    _S.FALLBACK: {
        _E.MEDIA_STARTED: _S.FALLBACK,
        _E.MEDIA_LOST: _S.FALLBACK,
        _E.MEDIA_STREAMING_FAILED: _S.FALLBACK,
        _E.TAKEN_OVER: _S.FALLBACK,
        _E.TRANSFER_REQUESTED: _S.FALLBACK,
        _E.TRANSFER_FAILED: _S.FALLBACK,
        _E.FALLBACK_DONE: _S.ENDING,
        _E.INTERRUPTION_EXPIRED: _S.ENDING,
        **_ENDS_FOR_US,
    },
    # Only the hang-up is left, which a pod that takes the call over does again, or upkeep where none does.
    _S.ENDING: {
        _E.TAKEN_OVER: _S.ENDING,
        _E.UPKEEP_CLOSED: _S.ENDING,
        _E.CALL_DISCONNECTED: _S.ENDED,
        _E.HUNG_UP: _S.ENDED,
    },
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
    _E.FALLBACK_STARTED: Cause.AGENT_FAILED,
    _E.FALLBACK_DONE: Cause.AGENT_FAILED,
    _E.TRANSFER_ACCEPTED: Cause.TRANSFERRED,
    _E.CALLER_SILENT: Cause.CALLER_SILENT,
    _E.DURATION_REACHED: Cause.MAX_DURATION,
    _E.PROCESS_STOPPING: Cause.PROCESS_STOPPED,
    _E.UPKEEP_CLOSED: Cause.ABANDONED,
    _E.CALL_DISCONNECTED: Cause.CALLER_HUNG_UP,
}
"""The cause that an event gives to a call that has none yet: the first reason to end is the one that counts."""

WITHOUT_MEDIA = frozenset({CallState.ANSWERING, CallState.CONNECTED, CallState.INTERRUPTED})
"""The states in which media may still come."""


def next_state(state: CallState, event: CallEvent) -> CallState | None:
    """Return the state after `event`, or None where the event does not fit and changes nothing."""
    return TRANSITIONS[state].get(event)


def cause_of(state: CallState, event: CallEvent) -> Cause | None:
    """Return the cause that an event which comes in `state` gives to a call that has none yet.

    A fallback follows the loss of the agent, but that of the media where there are none when it begins.
    """
    if event is CallEvent.FALLBACK_STARTED and state in WITHOUT_MEDIA:
        return Cause.MEDIA_LOST
    return CAUSES.get(event)
