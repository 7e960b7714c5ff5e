"""Keys that the application presses towards the caller: told to the caller one by one, and then to the application."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from emulator.call import Call
from emulator.call_automation.media_streaming import SendEvent
from emulator.tasks import Tasks
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.errors import media_operation_active
from emulator.wire.requests import DtmfTone, SendDtmfTonesRequest

TONE_SECONDS: Final = 0.1
"""From one key to the next; the real pace is not documented."""

MAX_REQUESTS: Final = 100
"""Requests of a call that are under way or wait for their turn; one more is refused."""

_COMPLETED: Final = ResultInformation(200, 0, "Action completed successfully.")
_CALL_ENDED: Final = ResultInformation(400, 8528, "Action failed, the call was terminated.")


class SentTones:
    """The tones that are sent to the caller of one call, request after request.

    Args:
        call: whose caller hears them.
        over: set when the application has no part in the call any more.
        tasks: own what is under way.
        send: sends an event.
    """

    def __init__(self, call: Call, over: asyncio.Event, tasks: Tasks, send: SendEvent) -> None:
        self._call = call
        self._over = over
        self._tasks = tasks
        self._send = send
        self._requests = 0
        self._turn = asyncio.Lock()

    def start(self, request: SendDtmfTonesRequest) -> None:
        """Send the tones after those of earlier requests; SendDtmfTonesCompleted or SendDtmfTonesFailed follows.

        Raises:
            AcsError: too many requests wait already.
        """
        if self._requests >= MAX_REQUESTS:
            raise media_operation_active("Too many requests to send tones are under way.")
        self._requests += 1
        self._tasks.start(self._perform(request), name="send-dtmf-tones")

    async def _perform(self, request: SendDtmfTonesRequest) -> None:
        async with self._turn:
            is_sent = await self._play(request.tones)
        self._requests -= 1
        event = CallbackEvent(
            name="SendDtmfTonesCompleted" if is_sent else "SendDtmfTonesFailed",
            operation_context=request.operation_context,
            result=_COMPLETED if is_sent else _CALL_ENDED,
        )
        self._send(event, request.operation_callback_uri)

    async def _play(self, tones: Sequence[DtmfTone]) -> bool:
        """Whether the call lasted until the caller had heard all of them."""
        for tone in tones:
            if self._over.is_set():
                return False
            self._call.note("dtmf_received", digit=tone.digit)
            with suppress(TimeoutError):
                async with asyncio.timeout(TONE_SECONDS):
                    await self._over.wait()
        return not self._over.is_set()
