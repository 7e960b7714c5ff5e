"""What ACS recognises of the caller of one call at the application's request: a prompt, then keys or words."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.call import Call
from emulator.call_automation.azure_ai import AzureAiFailed
from emulator.call_automation.media_queue import Ending
from emulator.call_automation.media_streaming import SendEvent
from emulator.call_automation.play_sources import PlaySources, SourceFailed
from emulator.call_automation.recognizer import Recognizer
from emulator.faults.operations import AZURE_AI_RECOGNIZE
from emulator.media.prompt import Prompt
from emulator.plays import PlayOutcome
from emulator.recognitions import Recognition
from emulator.wire.callback_events import CallbackEvent, ResultInformation
from emulator.wire.play import PlaySourceKind
from emulator.wire.recognize import RecognizeRequest
from emulator.wire.requests import TONES

_NO_PROMPT: Final = ResultInformation(
    500, 8511, "Action failed, encountered failure while trying to play the prompt."
)

_EVENTS: Mapping[PlayOutcome, str] = {
    PlayOutcome.COMPLETED: "RecognizeCompleted",
    PlayOutcome.FAILED: "RecognizeFailed",
    PlayOutcome.CANCELED: "RecognizeCanceled",
}


@dataclass(frozen=True)
class RecognizingServices:
    """What every request works with.

    Attributes:
        sources: where the prompts' audio comes from, and the Azure AI that listens.
        send: sends an event.
        completes_late: whether keys are told after which none came in time.
    """

    sources: PlaySources
    send: SendEvent
    completes_late: bool


class Recognizing:
    """One request to recognise something of the caller of a call.

    Args:
        call: whose caller is listened to.
        sent: the request.
        services: what every request works with.

    Attributes:
        recognition: what there is to say about it.
    """

    def __init__(self, call: Call, sent: RecognizeRequest, services: RecognizingServices) -> None:
        self._call = call
        self._sent = sent
        self._services = services
        self.recognition = Recognition(sent, asked_at=call.age_s)
        self._recognizer = Recognizer(sent, completes_late=services.completes_late)
        self._changed = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    async def perform(self) -> Ending:
        """Return when something was recognised, or nothing can be."""
        try:
            if self._sent.recognize_input_type.needs_azure_ai:
                await self._services.sources.azure_ai.ask(AZURE_AI_RECOGNIZE, self._call)
        except AzureAiFailed as failure:
            return Ending(PlayOutcome.FAILED, failure.result)
        audio = []
        for index, source in enumerate(self._sent.prompts):
            try:
                audio.append(await self._services.sources.audio(source, self._call))
            except SourceFailed as failure:
                is_file = source.kind is PlaySourceKind.FILE
                result = _NO_PROMPT if is_file else failure.result
                return Ending(PlayOutcome.FAILED, result, failed_source=index)
        self.recognition.started_at = self._call.age_s
        self._call.note("recognize_started")
        stop_listening = self._call.listen(self)
        try:
            return await self._listen(b"".join(audio))
        finally:
            stop_listening()
            self._call.line.end_prompt()

    def settle(self, ending: Ending) -> None:
        """Tell the application how it ended."""
        self.recognition.outcome, self.recognition.sub_code = ending.outcome, ending.result.sub_code
        self.recognition.ended_at = self._call.age_s
        self._call.note(
            f"recognize_{ending.outcome}", code=ending.result.code, subcode=ending.result.sub_code
        )
        event = CallbackEvent(
            name=_EVENTS[ending.outcome],
            operation_context=self._sent.operation_context,
            result=ending.result,
            failed_play_source_index=ending.failed_source,
            recognized=ending.recognized,
        )
        self._services.send(event, self._sent.operation_callback_uri)

    def caller_key(self, digit: str) -> None:
        """The caller pressed a key."""
        self._recognizer.key(TONES[digit], self._clock())
        self._follow()

    def caller_words(self, text: str, lasting_s: float) -> None:
        """The caller began to say something."""
        self._recognizer.words(text, lasting_s, self._clock())
        self._follow()

    async def _listen(self, prompt: bytes) -> Ending:
        recognizer, line = self._recognizer, self._call.line
        if prompt:
            line.begin_prompt(Prompt(prompt, line.rate_hz, loops=False, on_played=self._prompt_over))
        else:
            self._prompt_over()
        while recognizer.ended is None:
            self._changed.clear()
            try:
                async with asyncio.timeout_at(recognizer.due_at):
                    await self._changed.wait()
            except TimeoutError:
                recognizer.time_out(self._clock())
        ended = recognizer.ended
        outcome = PlayOutcome.FAILED if ended.recognized is None else PlayOutcome.COMPLETED
        return Ending(outcome, ended.result, recognized=ended.recognized)

    def _prompt_over(self) -> None:
        self._recognizer.prompt_over(self._clock())
        self._follow()

    def _follow(self) -> None:
        """Do what the latest news lead to: nobody goes on with a prompt that is interrupted."""
        if not self._recognizer.is_prompting and self.recognition.listening_at is None:
            self.recognition.listening_at = self._call.age_s
            self._call.note("recognize_listening")
            self._call.line.end_prompt()
        self._changed.set()
