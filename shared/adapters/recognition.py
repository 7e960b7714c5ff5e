"""What is to be recognised, in the arguments of the Call Automation SDK.

The SDK drops without a word what does not belong to the kind of input; speech language and model go with every kind.
"""

from typing import Any, TypeAlias

from azure.communication.callautomation import (
    FileSource,
    RecognitionChoice,
    RecognizeInputType,
    SsmlSource,
    TextSource,
)

from shared.core.recognition import (
    TONES,
    Choices,
    Digits,
    FilePrompt,
    Prompt,
    Recognition,
    Speech,
    SpeechOrDigits,
    TextPrompt,
)

PlaySource: TypeAlias = FileSource | TextSource | SsmlSource


def recognize_arguments(recognition: Recognition) -> dict[str, Any]:
    """Return the arguments of `start_recognizing_media`, but for the target and the context."""
    prompts = [play_source(prompt) for prompt in recognition.prompts]
    return {
        **_wanted(recognition.wanted),
        "play_prompt": prompts or None,
        "interrupt_prompt": recognition.barge_in,
        "initial_silence_timeout": recognition.silence_s,
        "speech_language": recognition.language,
        "speech_recognition_model_endpoint_id": recognition.speech_model,
    }


def _wanted(wanted: Digits | Speech | SpeechOrDigits | Choices) -> dict[str, Any]:
    match wanted:
        case Digits():
            return {"input_type": RecognizeInputType.DTMF, **_digits(wanted)}
        case Speech():
            return {"input_type": RecognizeInputType.SPEECH, **_speech(wanted)}
        case SpeechOrDigits(speech, digits):
            return {"input_type": RecognizeInputType.SPEECH_OR_DTMF, **_speech(speech), **_digits(digits)}
        case Choices(choices):
            return {
                "input_type": RecognizeInputType.CHOICES,
                "choices": [
                    RecognitionChoice(
                        label=choice.label,
                        phrases=list(choice.phrases),
                        tone=TONES[choice.key] if choice.key is not None else None,
                    )
                    for choice in choices
                ],
            }


def _digits(digits: Digits) -> dict[str, Any]:
    return {
        "dtmf_max_tones_to_collect": digits.most,
        "dtmf_stop_tones": [TONES[key] for key in digits.stop] or None,
        "dtmf_inter_tone_timeout": digits.pause_s,
    }


def _speech(speech: Speech) -> dict[str, Any]:
    # Seconds, of which the SDK makes the milliseconds of the wire.
    return {"end_silence_timeout": speech.end_silence_s}


def play_source(prompt: Prompt) -> PlaySource:
    """Return a prompt as the SDK takes it."""
    match prompt:
        case FilePrompt():
            return FileSource(prompt.url, play_source_cache_id=prompt.cache_id)
        case TextPrompt():
            return TextSource(
                text=prompt.text,
                voice_name=prompt.voice,
                source_locale=prompt.locale,
                custom_voice_endpoint_id=prompt.custom_voice,
                play_source_cache_id=prompt.cache_id,
            )
        case _:
            return SsmlSource(
                ssml_text=prompt.ssml,
                custom_voice_endpoint_id=prompt.custom_voice,
                play_source_cache_id=prompt.cache_id,
            )
