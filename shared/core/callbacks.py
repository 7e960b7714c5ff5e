"""What a callback of ACS means to the call's state machine."""

from collections.abc import Mapping

from shared.core.call_state import CallEvent

EVENT_OF_CALLBACK: Mapping[str, CallEvent] = {
    "CallConnected": CallEvent.CALL_CONNECTED,
    "CallDisconnected": CallEvent.CALL_DISCONNECTED,
    "AnswerFailed": CallEvent.ANSWER_FAILED,
    "MediaStreamingFailed": CallEvent.MEDIA_FAILED,
}
"""By the callback's type without `Microsoft.Communication.`; every other type is kept and moves nothing."""
