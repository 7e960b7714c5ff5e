"""What a callback of ACS means to a flow, and what a flow wants, in the terms of Call Automation."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from shared.acs.callbacks import CallbackEvent
from shared.core.flow_actions import Recognise, Source
from shared.core.flow_events import CallerGone, Done, Failed, Failure, FlowEvent, Heard, failure_of
from shared.core.flow_model import PartKind
from shared.core.ivr_call import IvrCall
from shared.core.recognition import (
    Choice,
    Choices,
    Digits,
    FilePrompt,
    Prompt,
    Recognition,
    Speech,
    SpeechOrDigits,
    SsmlPrompt,
    TextPrompt,
    recognised,
)

_DONE = frozenset({"PlayCompleted", "CallTransferAccepted"})
_FAILED = frozenset({"PlayFailed", "RecognizeFailed", "CallTransferFailed"})
CALL_TERMINATED = 8528
"""Sub-code of an action that ended with its call."""
_OVER = frozenset({"CallDisconnected", "AnswerFailed"})


def event_of(call: IvrCall, callback: CallbackEvent) -> FlowEvent | None:
    """Return what a callback means to the call's flow; None: nothing.

    PlayCanceled and RecognizeCanceled tell of a request that was repeated: the later one goes on.
    """
    context = callback.data.get("operationContext")
    action_id = context if isinstance(context, str) else ""
    match callback.name:
        case "CallConnected":
            return call.beginning
        case "RecognizeCompleted":
            heard = recognised(callback.data)
            if heard is None:
                return Failed(action_id, Failure.NO_MATCH)
            return Heard(action_id, heard.digits, heard.speech, heard.choice)
        case name if name in _DONE:
            return Done(action_id)
        case name if name in _FAILED and callback.result.sub_code == CALL_TERMINATED:
            # It comes before CallDisconnected: to go on with the flow would be in vain, and told wrongly.
            return CallerGone()
        case name if name in _FAILED:
            return Failed(action_id, failure_of(callback.result.code, callback.result.sub_code))
        case name if name in _OVER:
            return CallerGone()
    return None


def recognition_of(action: Recognise, *, sounds_url: str) -> Recognition:
    """Return what ACS is to recognise; `sounds_url` is where it finds WAV files."""
    return Recognition(
        wanted=_wanted(action),
        prompts=tuple(prompts_of(action.sources, sounds_url=sounds_url)),
        barge_in=action.barge_in,
        silence_s=action.silence_s,
        language=action.language,
        speech_model=action.speech_model,
    )


def prompts_of(sources: Sequence[Source], *, sounds_url: str) -> Sequence[Prompt]:
    """Return what ACS is to play."""
    return [_prompt(source, sounds_url) for source in sources]


def _wanted(action: Recognise) -> Digits | Speech | SpeechOrDigits | Choices:
    if action.choices:
        return Choices(
            tuple(
                Choice(label, tuple(choice.phrases.get(action.language, ())), choice.key)
                for label, choice in action.choices.items()
            )
        )
    silence_ms = action.speech.end_silence_ms if action.speech is not None else None
    speech = Speech(None if silence_ms is None else silence_ms / 1000)
    if action.digits is None:
        return speech
    digits = Digits(action.digits.max, action.digits.stop, action.digits.pause_s)
    return digits if action.speech is None else SpeechOrDigits(speech, digits)


def _prompt(source: Source, sounds_url: str) -> Prompt:
    match source.kind:
        case PartKind.WAV:
            return FilePrompt(f"{sounds_url}/{PurePosixPath(source.content).name}")
        case PartKind.SSML:
            return SsmlPrompt(source.content, source.custom_voice, source.cache_id)
        case PartKind.TEXT:
            return TextPrompt(
                source.content, source.voice, source.language, source.custom_voice, source.cache_id
            )
