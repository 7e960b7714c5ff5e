"""Keys that the application is told of one by one, as long as it wants to be."""

from typing import Final

from emulator.call import Call
from emulator.call_automation.media_streaming import SendEvent
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.errors import invalid_in_this_state, media_operation_active
from emulator.wire.recognize import ContinuousDtmfRecognitionRequest
from emulator.wire.requests import TONES

_HEARD: Final = ResultInformation(200, 0, "")
_STOPPED: Final = ResultInformation(200, 0, "Action completed successfully.")


class ContinuousDtmf:
    """The keys that the caller of one call presses.

    Args:
        call: whose caller.
        send: sends an event.
    """

    def __init__(self, call: Call, send: SendEvent) -> None:
        self._call = call
        self._send = send
        self._recognition: _Recognition | None = None

    def start(self, request: ContinuousDtmfRecognitionRequest) -> None:
        """Tell of every key from now on.

        Raises:
            AcsError: that is done already.
        """
        if self._recognition is not None:
            raise media_operation_active("Continuous DTMF recognition is already started.")
        self._recognition = _Recognition(self._call, request, self._send)

    def stop(self, request: ContinuousDtmfRecognitionRequest) -> None:
        """Tell of no more keys, and that it is so.

        Raises:
            AcsError: none are told of.
        """
        if self._recognition is None:
            raise invalid_in_this_state("Continuous DTMF recognition is not started.")
        self._stop(self._recognition, request)

    def end(self) -> None:
        """The application has no part in the call any more."""
        if self._recognition is not None:
            self._stop(self._recognition, self._recognition.request)

    def _stop(self, recognition: "_Recognition", request: ContinuousDtmfRecognitionRequest) -> None:
        self._recognition = None
        recognition.stop_listening()
        event = CallbackEvent(
            name="ContinuousDtmfRecognitionStopped",
            operation_context=request.operation_context,
            result=_STOPPED,
        )
        self._send(event, request.operation_callback_uri)


class _Recognition:
    """From one start to its stop."""

    def __init__(self, call: Call, request: ContinuousDtmfRecognitionRequest, send: SendEvent) -> None:
        self.request = request
        self._send = send
        self._keys = 0
        self.stop_listening = call.listen(self)

    def caller_key(self, digit: str) -> None:
        self._keys += 1
        event = CallbackEvent(
            name="ContinuousDtmfRecognitionToneReceived",
            operation_context=self.request.operation_context,
            result=_HEARD,
            sequence_id=self._keys,
            tone=TONES[digit],
        )
        self._send(event, self.request.operation_callback_uri)

    def caller_words(self, text: str, lasting_s: float) -> None:
        """Words are no keys."""
