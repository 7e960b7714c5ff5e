"""What ACS is asked to recognise, through the real SDK, on the emulator's wire."""

import json

import msgspec
import pytest

from emulator.faults import Reset, Status, When
from emulator.plays import PlayOutcome
from shared.core.recognition import (
    Choice,
    Choices,
    Digits,
    FilePrompt,
    Recognition,
    Speech,
    SpeechOrDigits,
    SsmlPrompt,
    TextPrompt,
)
from shared.errors import AcsRefused, AcsUnavailable, CallGone
from tests.support.call_control import answered, happened
from tests.support.gateway import CALLER

NOWHERE = "127.0.0.1:9"
PIN = Recognition(Digits(most=4))
SSML = '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="de-DE">Ja?</speak>'


async def recognize(acs, call, recognition=PIN, target=f"4:{CALLER}"):
    await acs.recognize(
        call.call_connection_id, target=target, recognition=recognition, operation_context="try-1"
    )


def sent(call):
    """The request as ACS got it, with what the service takes for granted where nothing was sent left out."""
    [recognition] = call.recognitions
    return json.loads(msgspec.json.encode(recognition.request))


async def test_digits_are_asked_for_with_their_limits(acs, call):
    digits = Digits(most=8, stop="#*", pause_s=4)

    await recognize(acs, call, Recognition(digits, silence_s=7, barge_in=False))

    request = sent(call)
    options = request["recognizeOptions"]
    assert request["recognizeInputType"] == "dtmf"
    assert options["dtmfOptions"] == {
        "maxTonesToCollect": 8,
        "stopTones": ["pound", "asterisk"],
        "interToneTimeoutInSeconds": 4,
    }
    assert (options["initialSilenceTimeoutInSeconds"], options["interruptPrompt"]) == (7, False)
    assert options["targetParticipant"]["phoneNumber"]["value"] == CALLER
    assert request["operationContext"] == "try-1"


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        (Speech(), "speech"),
        (SpeechOrDigits(Speech(), Digits(most=1)), "speechOrDtmf"),
        (Choices((Choice("yes", ("ja",)),)), "choices"),
    ],
    ids=["speech", "speech or digits", "choices"],
)
async def test_language_and_model_of_words_are_not_dropped_on_the_way(acs, call, wanted, kind):
    await recognize(acs, call, Recognition(wanted, language="de-DE", speech_model="model-1"))

    options = sent(call)["recognizeOptions"]
    assert sent(call)["recognizeInputType"] == kind
    assert (options["speechLanguage"], options["speechRecognitionModelEndpointId"]) == ("de-DE", "model-1")


async def test_silence_after_speech_may_be_less_than_a_second(acs, call):
    await recognize(acs, call, Recognition(Speech(end_silence_s=0.7)))

    assert sent(call)["recognizeOptions"]["speechOptions"] == {"endSilenceTimeoutInMs": 700}


async def test_speech_or_digits_has_the_options_of_both(acs, call):
    await recognize(
        acs, call, Recognition(SpeechOrDigits(Speech(end_silence_s=2), Digits(most=1, pause_s=3)))
    )

    options = sent(call)["recognizeOptions"]
    assert options["speechOptions"] == {"endSilenceTimeoutInMs": 2000}
    assert options["dtmfOptions"] == {"maxTonesToCollect": 1, "interToneTimeoutInSeconds": 3}


async def test_choices_have_phrases_and_keys(acs, call):
    choices = Choices((Choice("Confirm", ("yes", "confirm"), key="1"), Choice("Cancel", ("no",))))

    await recognize(acs, call, Recognition(choices))

    assert sent(call)["recognizeOptions"]["choices"] == [
        {"label": "Confirm", "phrases": ["yes", "confirm"], "tone": "one"},
        {"label": "Cancel", "phrases": ["no"]},
    ]


async def test_prompts_of_every_kind_are_played_first(acs, call):
    prompts = (
        TextPrompt("Your PIN?", "en-US-AvaMultilingualNeural", "en-GB", "voice-1", "pin-en"),
        SsmlPrompt(SSML, "voice-1", "pin-de"),
        FilePrompt(f"http://{NOWHERE}/pin.wav", "pin-wav"),
    )

    await recognize(acs, call, Recognition(Digits(most=4), prompts))

    text = {"text": "Your PIN?", "sourceLocale": "en-GB", "voiceName": "en-US-AvaMultilingualNeural"}
    assert sent(call)["playPrompts"] == [
        {"kind": "text", "playSourceCacheId": "pin-en", "text": {**text, "customVoiceEndpointId": "voice-1"}},
        {
            "kind": "ssml",
            "playSourceCacheId": "pin-de",
            "ssml": {"ssmlText": SSML, "customVoiceEndpointId": "voice-1"},
        },
        {"kind": "file", "playSourceCacheId": "pin-wav", "file": {"uri": f"http://{NOWHERE}/pin.wav"}},
    ]


async def test_what_the_caller_keys_is_recognised(acs, call):
    await recognize(acs, call)
    await happened(call, "recognize_listening")

    for key in "1234":
        call.press(key)

    await happened(call, "recognize_completed")


async def test_request_whose_reply_is_lost_listens_once(emulator, acs, call):
    emulator.faults.fail_next("recognize", Status(status=503, when=When.AFTER))

    await recognize(acs, call)

    first, second = call.recognitions
    assert (first.outcome, second.outcome) == (PlayOutcome.CANCELED, None)


async def test_words_are_refused_where_no_azure_ai_hears_them(emulator, acs, ear):
    call = await answered(emulator, acs, ear, azure_ai=None)

    with pytest.raises(AcsRefused):
        await recognize(acs, call, Recognition(Speech()))

    await recognize(acs, call)


async def test_somebody_who_is_not_in_the_call_is_gone(emulator, acs, call):
    with pytest.raises(CallGone):
        await recognize(acs, call, target="4:+14255550188")
    await emulator.calls.caller_hangs_up(call)
    with pytest.raises(CallGone):
        await recognize(acs, call)


@pytest.mark.parametrize("fault", [Status(status=400, code="8585"), Status(status=405, code="8520")])
async def test_refusal_is_told_from_a_call_that_is_over(emulator, acs, call, fault):
    emulator.faults.fail_next("recognize", fault)

    with pytest.raises(AcsRefused):
        await recognize(acs, call)


@pytest.mark.parametrize("fault", [Status(status=503), Status(status=412, code="8583"), Reset()])
async def test_acs_that_does_not_listen_may_have_been_away(emulator, acs, call, fault):
    emulator.faults.fail_next("recognize", fault, times=2)

    with pytest.raises(AcsUnavailable):
        await recognize(acs, call)

    assert not call.recognitions
