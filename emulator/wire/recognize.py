"""The bodies of requests to recognise what a caller says or keys."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from emulator.wire.errors import bad_argument
from emulator.wire.identifiers import Identifier
from emulator.wire.play import MAX_SOURCES, PlaySource, check_source
from emulator.wire.requests import DtmfTone

MAX_CHOICES: Final = 100
"""That a request may have, and phrases of one choice; Azure's own limits are not documented."""

MAX_SILENCE_SECONDS: Final = 300
MAX_SILENCE_BEFORE_SPEECH_SECONDS: Final = 20
"""What is documented for speech and choices. Azure's own examples ask for 30: more is taken, and this long waited."""

MAX_BETWEEN_TONES_SECONDS: Final = 60

Positive = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class RecognizeInputType(StrEnum):
    """What is listened for."""

    DTMF = "dtmf"
    SPEECH = "speech"
    SPEECH_OR_DTMF = "speechOrDtmf"
    CHOICES = "choices"

    @property
    def needs_azure_ai(self) -> bool:
        """Whether words count."""
        return self is not RecognizeInputType.DTMF


class DtmfOptions(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """How keys are collected."""

    inter_tone_timeout_in_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_BETWEEN_TONES_SECONDS)] = 2
    max_tones_to_collect: Positive | None = None
    stop_tones: tuple[DtmfTone, ...] = ()


class SpeechOptions(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """When the caller is taken to have said all."""

    end_silence_timeout_in_ms: Annotated[int, msgspec.Meta(ge=0)] = 500


class Choice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One thing to choose, by a phrase or a key."""

    label: Text
    phrases: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_CHOICES)]
    tone: DtmfTone | None = None


class RecognizeOptions(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Whom to listen to, and how."""

    target_participant: Identifier
    interrupt_prompt: bool = True
    initial_silence_timeout_in_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_SILENCE_SECONDS)] = 5
    speech_language: str = "en-US"
    speech_recognition_model_endpoint_id: str | None = None
    dtmf_options: DtmfOptions = DtmfOptions()
    speech_options: SpeechOptions = SpeechOptions()
    choices: Annotated[tuple[Choice, ...], msgspec.Meta(max_length=MAX_CHOICES)] = ()


class RecognizeRequest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """`:recognize`, with one prompt, several or none."""

    recognize_input_type: RecognizeInputType
    recognize_options: RecognizeOptions
    play_prompt: PlaySource | None = None
    play_prompts: Annotated[tuple[PlaySource, ...], msgspec.Meta(max_length=MAX_SOURCES)] = ()
    interrupt_call_media_operation: bool = False
    operation_context: str | None = None
    operation_callback_uri: str | None = None

    @property
    def prompts(self) -> tuple[PlaySource, ...]:
        """What is played first."""
        return self.play_prompts if self.play_prompt is None else (self.play_prompt,)

    @property
    def initial_silence_seconds(self) -> int:
        """How long the caller may keep silent after the prompt."""
        wanted = self.recognize_options.initial_silence_timeout_in_seconds
        return (
            min(wanted, MAX_SILENCE_BEFORE_SPEECH_SECONDS)
            if self.recognize_input_type.needs_azure_ai
            else wanted
        )


class ContinuousDtmfRecognitionRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:startContinuousDtmfRecognition` and `:stopContinuousDtmfRecognition`."""

    target_participant: Identifier
    operation_context: str | None = None
    operation_callback_uri: str | None = None


def check_recognition(request: RecognizeRequest) -> None:
    """Check what the shape of a request does not tell.

    Raises:
        AcsError: nothing to choose from, prompts in both members, or one that cannot be played.
    """
    if request.recognize_input_type is RecognizeInputType.CHOICES and not request.recognize_options.choices:
        raise bad_argument("There is nothing to choose from.", "recognizeOptions.choices")
    if request.play_prompt is not None and request.play_prompts:
        raise bad_argument("There is a playPrompt already.", "playPrompts")
    if request.play_prompt is not None:
        check_source(request.play_prompt, "playPrompt")
    for index, source in enumerate(request.play_prompts):
        check_source(source, f"playPrompts[{index}]")
