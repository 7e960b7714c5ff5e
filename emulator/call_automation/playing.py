"""What ACS plays to the caller of one call at the application's request: files and spoken words."""

import asyncio
from collections.abc import Mapping
from typing import Final

from emulator.call import Call
from emulator.call_automation.media_queue import Ending
from emulator.call_automation.media_streaming import SendEvent
from emulator.call_automation.play_sources import PlaySources, SourceFailed
from emulator.media.prompt import Prompt
from emulator.plays import Play, PlayOutcome
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.play import PlayRequest

_COMPLETED: Final = ResultInformation(200, 0, "Action completed successfully.")

_EVENTS: Mapping[PlayOutcome, str] = {
    PlayOutcome.COMPLETED: "PlayCompleted",
    PlayOutcome.FAILED: "PlayFailed",
    PlayOutcome.CANCELED: "PlayCanceled",
}


class Playing:
    """One request to play something to the caller of a call.

    Args:
        call: whose caller hears it.
        sent: the request.
        sources: where the audio comes from.
        send: sends an event.

    Attributes:
        play: what there is to say about it.
    """

    def __init__(self, call: Call, sent: PlayRequest, *, sources: PlaySources, send: SendEvent) -> None:
        self._call = call
        self._sent = sent
        self._sources = sources
        self._send = send
        self.play = Play(
            sources=sent.play_sources,
            loop=sent.play_options.loop,
            operation_context=sent.operation_context,
            asked_at=call.age_s,
        )

    async def perform(self) -> Ending:
        """Return when the caller has heard it all, or cannot."""
        audio = []
        for index, source in enumerate(self._sent.play_sources):
            try:
                audio.append(await self._sources.audio(source, self._call))
            except SourceFailed as failure:
                return Ending(PlayOutcome.FAILED, failure.result, failed_source=index)
        self.play.started_at = self._call.age_s
        self._call.note("play_started")
        self._tell("PlayStarted", _COMPLETED)
        await self._heard(b"".join(audio))
        return Ending(PlayOutcome.COMPLETED, _COMPLETED)

    def settle(self, ending: Ending) -> None:
        """Tell the application how it ended."""
        self.play.outcome, self.play.sub_code = ending.outcome, ending.result.sub_code
        self.play.ended_at = self._call.age_s
        self._call.note(f"play_{ending.outcome}", code=ending.result.code, subcode=ending.result.sub_code)
        self._tell(_EVENTS[ending.outcome], ending.result, failed_source=ending.failed_source)

    async def _heard(self, pcm: bytes) -> None:
        line, played = self._call.line, asyncio.Event()
        line.begin_prompt(Prompt(pcm, line.rate_hz, loops=self._sent.play_options.loop, on_played=played.set))
        try:
            await played.wait()
        finally:
            line.end_prompt()

    def _tell(self, name: str, result: ResultInformation, *, failed_source: int | None = None) -> None:
        event = CallbackEvent(
            name=name,
            operation_context=self._sent.operation_context,
            result=result,
            failed_play_source_index=failed_source,
        )
        self._send(event, self._sent.operation_callback_uri)
