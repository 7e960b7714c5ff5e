"""Putting the caller of one call on hold: apart from everybody else, with something of their own to hear."""

import asyncio
from collections.abc import Callable
from typing import Final

from emulator.call import Call
from emulator.call_automation.media_streaming import SendEvent
from emulator.call_automation.play_sources import PlaySources, SourceFailed
from emulator.media.prompt import Prompt
from emulator.tasks import Tasks
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.errors import invalid_in_this_state
from emulator.wire.hold import HoldRequest

_CALL_ENDED: Final = ResultInformation(400, 8528, "Action failed, the call was terminated.")
_TAKEN_BACK: Final = ResultInformation(400, 8508, "Action failed, the operation was cancelled.")


class Holding:
    """Whether the caller of one call is on hold.

    Args:
        call: whose caller.
        sources: where comes from what they hear.
        tasks: own what is under way.
        send: sends an event.
        on_change: called when the caller has been put on hold, or taken back.
    """

    def __init__(
        self,
        call: Call,
        *,
        sources: PlaySources,
        tasks: Tasks,
        send: SendEvent,
        on_change: Callable[[], None],
    ) -> None:
        self._call = call
        self._sources = sources
        self._tasks = tasks
        self._send = send
        self._on_change = on_change
        self._request: HoldRequest | None = None
        self._fetching: asyncio.Task[None] | None = None

    def hold(self, request: HoldRequest) -> None:
        """Put them on hold as soon as there is what they are to hear, for as long as it lasts again and again.

        No event tells of it, but HoldFailed follows where that cannot be had.

        Raises:
            AcsError: they are on hold already, or about to be.
        """
        if self._request is not None:
            raise invalid_in_this_state("The participant is on hold.")
        self._request = request
        self._fetching = self._tasks.start(self._perform(request), name="hold")

    def unhold(self) -> None:
        """Take them back; no event tells of it.

        Raises:
            AcsError: they are not on hold.
        """
        if self._request is None:
            raise invalid_in_this_state("The participant is not on hold.")
        if self._settle(_TAKEN_BACK):
            self._on_change()

    def end(self) -> None:
        """The application has no part in the call any more: whoever has the caller now hears them."""
        self._settle(_CALL_ENDED)

    async def _perform(self, request: HoldRequest) -> None:
        music = None
        if request.play_source_info is not None:
            try:
                music = await self._sources.audio(request.play_source_info, self._call)
            except SourceFailed as failure:
                self._request = self._fetching = None
                self._failed(request, failure.result)
                return
        self._fetching = None
        line = self._call.line
        line.hold(None if not music else Prompt(music, line.rate_hz, loops=True, on_played=lambda: None))
        self._call.note("held")
        self._on_change()

    def _settle(self, why: ResultInformation) -> bool:
        """End it; whether they had come to be on hold."""
        request, self._request = self._request, None
        fetching, self._fetching = self._fetching, None
        if request is None:
            return False
        if fetching is not None:
            fetching.cancel()
            self._failed(request, why)
            return False
        self._call.line.unhold()
        self._call.note("unheld")
        return True

    def _failed(self, request: HoldRequest, result: ResultInformation) -> None:
        self._call.note("hold_failed", code=result.code, subcode=result.sub_code)
        event = CallbackEvent(name="HoldFailed", operation_context=request.operation_context, result=result)
        self._send(event, request.operation_callback_uri)
