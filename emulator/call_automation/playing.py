"""What ACS plays to the caller of one call at the application's request: files and spoken words, one after another."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.call import Call
from emulator.call_automation.media_streaming import SendEvent
from emulator.call_automation.play_sources import PlaySources, SourceFailed
from emulator.media.prompt import Prompt
from emulator.plays import Play, PlayOutcome
from emulator.tasks import Tasks
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.errors import media_operation_active
from emulator.wire.play import PlayRequest

MAX_REQUESTS: Final = 100
"""Requests of a call that are played or wait for their turn; one more is refused."""

_COMPLETED: Final = ResultInformation(200, 0, "Action completed successfully.")
_CANCELED: Final = ResultInformation(400, 8508, "Action failed, the operation was cancelled.")
_CALL_ENDED: Final = ResultInformation(400, 8528, "Action failed, the call was terminated.")

_EVENTS: Mapping[PlayOutcome, str] = {
    PlayOutcome.COMPLETED: "PlayCompleted",
    PlayOutcome.FAILED: "PlayFailed",
    PlayOutcome.CANCELED: "PlayCanceled",
}


@dataclass(eq=False)
class _Request:
    """One request that is played or waits."""

    sent: PlayRequest
    play: Play
    task: asyncio.Task[None] | None = None


class Playing:
    """What is played to the caller of one call.

    Args:
        call: whose caller hears it.
        sources: where the audio comes from.
        tasks: own what is under way.
        send: sends an event.
    """

    def __init__(self, call: Call, sources: PlaySources, tasks: Tasks, send: SendEvent) -> None:
        self._call = call
        self._sources = sources
        self._tasks = tasks
        self._send = send
        self._requests: dict[_Request, None] = {}
        self._turn = asyncio.Lock()

    def start(self, sent: PlayRequest) -> None:
        """Play after what waits already, or at once in place of all of it.

        Raises:
            AcsError: too many requests wait already.
        """
        if sent.interrupt_call_media_operation and not sent.play_to:
            self.cancel_all()
        if len(self._requests) >= MAX_REQUESTS:
            raise media_operation_active("Too many requests to play something are under way.")
        play = Play(
            sources=sent.play_sources,
            loop=sent.play_options.loop,
            operation_context=sent.operation_context,
            asked_at=self._call.age_s,
        )
        self._call.plays.append(play)
        request = _Request(sent, play)
        self._requests[request] = None
        request.task = self._tasks.start(self._perform(request), name="play")

    def cancel_all(self) -> None:
        """Cut off what is played, and forget what waits."""
        self._settle_all(PlayOutcome.CANCELED, _CANCELED)

    def end(self) -> None:
        """The application has no part in the call any more: what is not played to its end has failed."""
        self._settle_all(PlayOutcome.FAILED, _CALL_ENDED)

    async def _perform(self, request: _Request) -> None:
        async with self._turn:
            audio = []
            for index, source in enumerate(request.sent.play_sources):
                try:
                    audio.append(await self._sources.audio(source, self._call))
                except SourceFailed as failure:
                    self._settle(request, PlayOutcome.FAILED, failure.result, failed_source=index)
                    return
            request.play.started_at = self._call.age_s
            self._call.note("play_started")
            self._tell(request, "PlayStarted", _COMPLETED)
            await self._play(b"".join(audio), loops=request.play.loop)
            self._settle(request, PlayOutcome.COMPLETED, _COMPLETED)

    async def _play(self, pcm: bytes, *, loops: bool) -> None:
        """Return when the caller has heard it."""
        line, played = self._call.line, asyncio.Event()
        line.begin_prompt(Prompt(pcm, line.rate_hz, loops=loops, on_played=played.set))
        try:
            await played.wait()
        finally:
            line.end_prompt()

    def _settle_all(self, outcome: PlayOutcome, result: ResultInformation) -> None:
        for request in list(self._requests):
            self._settle(request, outcome, result)
            if request.task is not None:
                request.task.cancel()

    def _settle(
        self,
        request: _Request,
        outcome: PlayOutcome,
        result: ResultInformation,
        *,
        failed_source: int | None = None,
    ) -> None:
        del self._requests[request]
        request.play.outcome, request.play.sub_code = outcome, result.sub_code
        request.play.ended_at = self._call.age_s
        self._call.note(f"play_{outcome}", code=result.code, subcode=result.sub_code)
        self._tell(request, _EVENTS[outcome], result, failed_source=failed_source)

    def _tell(
        self, request: _Request, name: str, result: ResultInformation, *, failed_source: int | None = None
    ) -> None:
        event = CallbackEvent(
            name=name,
            operation_context=request.sent.operation_context,
            result=result,
            failed_play_source_index=failed_source,
        )
        self._send(event, request.sent.operation_callback_uri)
