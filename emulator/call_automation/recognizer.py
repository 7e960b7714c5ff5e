"""What is recognised of what a caller keys and says. Pure: times are seconds on the caller's own clock.

Words come as text: this emulator has no speech recognition, so whoever speaks for the caller tells what was said.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from emulator.wire.callback_events import (
    ChoiceResult,
    DtmfResult,
    RecognitionResult,
    ResultInformation,
    SpeechResult,
)
from emulator.wire.recognize import Choice, RecognizeInputType, RecognizeRequest
from emulator.wire.requests import DtmfTone

MAX_TONES: Final = 255
"""Keys that are collected, however many a request asks for."""

MAX_WORDS_CHARS: Final = 10_000
"""Of what a caller says in one go; later words are not heard."""

CONFIDENCE: Final = 0.9
"""Told of all that is recognised in words."""

_MAX_TONES_REACHED: Final = ResultInformation(200, 8531, "Action completed, max digits received.")
_STOP_TONE: Final = ResultInformation(200, 8514, "Action completed as stop tone was detected.")
_SPEECH: Final = ResultInformation(200, 8569, "Action completed, speech recognized.")
_PHRASE_MATCHED: Final = ResultInformation(
    200, 8545, "Action completed, recognized phrase matches a valid option."
)
_KEY_MATCHED: Final = ResultInformation(200, 8533, "Action completed, DTMF option matched.")

_SILENCE: Final = ResultInformation(400, 8510, "Action failed, initial silence timeout reached.")
_LATE_TONE: Final = ResultInformation(400, 8532, "Action failed, inter-digit silence timeout reached.")
_NOT_UNDERSTOOD: Final = ResultInformation(400, 8563, "Action failed, speech could not be recognized.")
_NO_SUCH_PHRASE: Final = ResultInformation(
    400, 8547, "Action failed, recognized phrase does not match a valid option."
)
_NO_SUCH_KEY: Final = ResultInformation(400, 8534, "Action failed, incorrect tone detected.")

_NOT_OF_WORDS = re.compile(r"[^\w]+")


@dataclass(frozen=True)
class Recognized:
    """How it ended: RecognizeCompleted if there is something recognised, else RecognizeFailed."""

    result: ResultInformation
    recognized: RecognitionResult | None = None


class Recognizer:
    """Listens to one caller for one request.

    Keys and words that come first decide which of the two count, where both may. While a prompt that must not be
    interrupted is played, neither is heard.

    Args:
        request: what is asked for.
        completes_late: whether keys are told after which none came in time, instead of failing.

    Attributes:
        ended: None until then; nothing is heard any more afterwards.
        due_at: when `time_out` is to be called, unless something is heard before; None for never.
        is_prompting: whether the prompt is still to be played.
    """

    def __init__(self, request: RecognizeRequest, *, completes_late: bool) -> None:
        self.ended: Recognized | None = None
        self.due_at: float | None = None
        self.is_prompting = True
        self._kind = request.recognize_input_type
        self._options = request.recognize_options
        self._initial_silence_s = request.initial_silence_seconds
        self._completes_late = completes_late
        self._tones: list[DtmfTone] = []
        self._words: str | None = None

    def prompt_over(self, now: float) -> None:
        """The caller has heard the whole prompt, or there is none: their silence counts from now on."""
        self.is_prompting = False
        self.due_at = now + self._initial_silence_s

    def key(self, tone: DtmfTone, now: float) -> None:
        """The caller pressed a key."""
        if self._is_deaf or self._words is not None or self._kind is RecognizeInputType.SPEECH:
            return
        self.is_prompting = False
        if self._kind is RecognizeInputType.CHOICES:
            self._choose(tone)
        else:
            self._collect(tone, now)

    def words(self, text: str, lasting_s: float, now: float) -> None:
        """The caller began to say something; an empty text is what nobody could make out."""
        if self._is_deaf or self._tones or self._kind is RecognizeInputType.DTMF:
            return
        said = f"{self._words or ''} {text}".strip()
        if len(said) > MAX_WORDS_CHARS:
            return
        self.is_prompting = False
        until = now + lasting_s + self._options.speech_options.end_silence_timeout_in_ms / 1000
        self.due_at = until if self._words is None or self.due_at is None else max(until, self.due_at)
        self._words = said

    def time_out(self, now: float) -> None:
        """It is `due_at`; before that it does nothing."""
        if self.due_at is None or now < self.due_at:
            return
        if self._words is not None:
            self._understand(self._words)
        elif self._tones:
            self._end(_LATE_TONE, DtmfResult(tuple(self._tones)) if self._completes_late else None)
        else:
            self._end(_SILENCE)

    @property
    def _is_deaf(self) -> bool:
        return self.ended is not None or (self.is_prompting and not self._options.interrupt_prompt)

    def _collect(self, tone: DtmfTone, now: float) -> None:
        options = self._options.dtmf_options
        if tone in options.stop_tones:
            self._end(_STOP_TONE, DtmfResult(tuple(self._tones)))
            return
        self._tones.append(tone)
        if len(self._tones) >= min(options.max_tones_to_collect or MAX_TONES, MAX_TONES):
            self._end(_MAX_TONES_REACHED, DtmfResult(tuple(self._tones)))
        else:
            self.due_at = now + options.inter_tone_timeout_in_seconds

    def _choose(self, tone: DtmfTone) -> None:
        label = next((choice.label for choice in self._options.choices if choice.tone is tone), None)
        if label is None:
            self._end(_NO_SUCH_KEY)
        else:
            self._end(_KEY_MATCHED, ChoiceResult(label, None))

    def _understand(self, words: str) -> None:
        if not words:
            self._end(_NOT_UNDERSTOOD)
        elif self._kind is not RecognizeInputType.CHOICES:
            self._end(_SPEECH, SpeechResult(words, CONFIDENCE))
        elif (chosen := _chosen(words, self._options.choices)) is not None:
            self._end(_PHRASE_MATCHED, chosen)
        else:
            self._end(_NO_SUCH_PHRASE)

    def _end(self, result: ResultInformation, recognized: RecognitionResult | None = None) -> None:
        self.ended, self.due_at = Recognized(result, recognized), None


def _chosen(words: str, choices: Sequence[Choice]) -> ChoiceResult | None:
    """The choice one of whose phrases is among the words, whatever their case and punctuation; the longest counts."""
    phrases: Mapping[str, ChoiceResult] = {
        phrase: ChoiceResult(choice.label, phrase, CONFIDENCE)
        for choice in reversed(choices)
        for phrase in choice.phrases
    }
    said = f" {_plain(words)} "
    heard = [phrase for phrase in phrases if (plain := _plain(phrase)) and f" {plain} " in said]
    return phrases[max(heard, key=len)] if heard else None


def _plain(text: str) -> str:
    return _NOT_OF_WORDS.sub(" ", text).strip().casefold()
