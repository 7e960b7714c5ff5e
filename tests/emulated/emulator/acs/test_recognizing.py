"""Keys and words that ACS recognises of the caller, and what the application is told of it."""

import asyncio
import json

import pytest
from azure.communication.callautomation import (
    FileSource,
    PhoneNumberIdentifier,
    RecognitionChoice,
    RecognizeInputType,
    TextSource,
)

from emulator.media.line import Line
from emulator.media.pcm import is_audible
from emulator.plays import PlayOutcome
from tests.support.acs_signing import send
from tests.support.playing import BEEP, RATE_HZ
from tests.support.shapes import assert_same_shape, example
from tests.support.voice import sounds

NUMBER, CALLER = "+18005550199", PhoneNumberIdentifier("+14255550100")
AZURE_AI = "https://ai.example.com/"
EXTRA = frozenset({"version", "publicEventType"})
YES = RecognitionChoice(label="Confirm", phrases=["yes"], tone="one")


@pytest.fixture
async def call(acs_emulator, ear):
    line = Line(rate_hz=RATE_HZ, on_audio=ear)
    return await acs_emulator.calls.place(to=NUMBER, from_="+14255550100", line=line)


@pytest.fixture
async def connection_id(call, aio_client, application, happened):
    """The call's, which is answered with an Azure AI, and connected."""
    answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
    await happened(call, "connected")
    return answered.call_connection_id


@pytest.fixture
def recognize(connection_id):
    """Ask for it by the SDK."""

    async def ask(client, kind, **options):
        await client.on_call(connection_id, "start_recognizing_media", kind, CALLER, **options)

    return ask


async def told(application, name):
    return (await application.event(name))["data"]


def presses(call, keys):
    for key in keys:
        call.press(key)


async def test_keys_are_told_by_their_names(client, call, recognize, application, happened):
    await recognize(client, RecognizeInputType.DTMF, dtmf_max_tones_to_collect=3, operation_context="pin")
    await happened(call, "recognize_listening")

    presses(call, "56#")

    completed = await told(application, "RecognizeCompleted")
    assert_same_shape(completed, example("callback_data_recognize_completed_dtmf")["data"], extra=EXTRA)
    assert completed["dtmfResult"]["tones"] == ["five", "six", "pound"]
    assert (completed["operationContext"], completed["recognitionType"]) == ("pin", "dtmf")
    assert completed["resultInformation"]["subCode"] == 8531


async def test_speech_is_told_as_text(client, call, recognize, application, happened):
    await recognize(client, RecognizeInputType.SPEECH, end_silence_timeout=0, operation_context="free")
    await happened(call, "recognize_listening")

    call.say_text("I lost my card.")

    completed = await told(application, "RecognizeCompleted")
    assert_same_shape(completed, example("callback_data_recognize_completed_speech")["data"], extra=EXTRA)
    assert completed["speechResult"]["speech"] == "I lost my card."


async def test_choice_is_told_by_its_label_and_phrase(client, call, recognize, application, happened):
    await recognize(client, RecognizeInputType.CHOICES, choices=[YES], operation_context="menu")
    await happened(call, "recognize_listening")

    call.say_text("Yes, of course.")

    completed = await told(application, "RecognizeCompleted")
    assert_same_shape(completed, example("callback_data_recognize_completed_choices")["data"], extra=EXTRA)
    assert completed["choiceResult"]["label"] == "Confirm"
    assert completed["choiceResult"]["recognizedPhrase"] == "yes"


async def test_choice_by_a_key_has_no_phrase(client, call, recognize, application, happened):
    await recognize(client, RecognizeInputType.CHOICES, choices=[YES])
    await happened(call, "recognize_listening")

    call.press("1")

    completed = await told(application, "RecognizeCompleted")
    assert completed["choiceResult"] == {"label": "Confirm", "recognizedPhrase": None}
    assert completed["resultInformation"]["subCode"] == 8533


@pytest.mark.parametrize("answer", ["speech", "dtmf"])
async def test_speech_or_keys(aio_client, call, recognize, application, happened, answer):
    await recognize(
        aio_client, RecognizeInputType.SPEECH_OR_DTMF, dtmf_max_tones_to_collect=1, end_silence_timeout=0
    )
    await happened(call, "recognize_listening")

    if answer == "speech":
        call.say_text("nine")
    else:
        call.press("9")

    completed = await told(application, "RecognizeCompleted")
    assert completed["recognitionType"] == answer
    assert {"speechResult", "dtmfResult"} & completed.keys() == {f"{answer}Result"}


async def test_silence_is_told_as_a_failure(client, recognize, application):
    await recognize(client, RecognizeInputType.DTMF, initial_silence_timeout=0, operation_context="pin")

    failed = await told(application, "RecognizeFailed")
    assert_same_shape(failed, example("callback_data_recognize_failed")["data"], extra=EXTRA)
    assert failed["resultInformation"]["subCode"] == 8510


@pytest.mark.parametrize("completes", [False, True])
async def test_key_that_comes_too_late_is_told_in_either_way(
    start_emulator, make_client, application, happened, completes
):
    emulator = await start_emulator(late_tones_complete=completes)
    client = await make_client(emulator)
    line = Line(rate_hz=RATE_HZ)
    call = await emulator.calls.place(to=NUMBER, from_="+14255550100", line=line)
    answered = await client.answer(call, application)
    await happened(call, "connected")
    await client.on_call(
        answered.call_connection_id,
        "start_recognizing_media",
        RecognizeInputType.DTMF,
        CALLER,
        dtmf_max_tones_to_collect=4,
        dtmf_inter_tone_timeout=1,
    )
    await happened(call, "recognize_listening")

    presses(call, "12")

    event = await told(application, "RecognizeCompleted" if completes else "RecognizeFailed")
    result = event["resultInformation"]
    assert (result["code"], result["subCode"]) == (400, 8532)
    assert event.get("dtmfResult") == ({"tones": ["one", "two"]} if completes else None)


async def test_prompt_is_heard_first_and_no_play_is_told_of(
    client, call, recognize, application, files, ear, happened
):
    await recognize(
        client,
        RecognizeInputType.DTMF,
        play_prompt=FileSource(url=files.url("beep.wav")),
        initial_silence_timeout=0,
        interrupt_prompt=False,
    )
    await happened(call, "recognize_started")
    call.press("1")

    assert (await told(application, "RecognizeFailed"))["resultInformation"]["subCode"] == 8510
    assert sounds(ear.heard) == BEEP
    assert not any(name.startswith("Play") for name in application.event_types())


async def test_several_prompts_are_heard_as_one(aio_client, recognize, application, files, ear):
    beep = FileSource(url=files.url("beep.wav"))

    await recognize(aio_client, RecognizeInputType.DTMF, play_prompt=[beep, beep], initial_silence_timeout=0)

    await application.event("RecognizeFailed")
    assert sounds(ear.heard) == 2 * BEEP


async def test_prompt_may_be_spoken(aio_client, recognize, application, ear):
    prompt = TextSource(text="Hello.", voice_name="en-US-JennyNeural")

    await recognize(aio_client, RecognizeInputType.DTMF, play_prompt=prompt, initial_silence_timeout=0)

    await application.event("RecognizeFailed")
    assert is_audible(bytes(ear.heard))


@pytest.mark.parametrize("barge_in", ["key", "words"])
async def test_prompt_ends_at_once_when_the_caller_interrupts(
    aio_client, call, recognize, application, files, ear, happened, barge_in
):
    await recognize(
        aio_client,
        RecognizeInputType.SPEECH_OR_DTMF,
        play_prompt=[FileSource(url=files.url("beep.wav"))] * 10,
        interrupt_prompt=True,
        dtmf_max_tones_to_collect=2,
        end_silence_timeout=0,
    )
    await ear.until(lambda: sounds(ear.heard))

    if barge_in == "key":
        presses(call, "12")
    else:
        call.say_text("stop")

    await application.event("RecognizeCompleted")
    assert len(sounds(ear.heard)) < 5 * len(BEEP)
    assert call.line.prompts_ms < 500


async def test_recognition_waits_until_what_is_played_is_over(
    aio_client, call, connection_id, recognize, application, files, ear
):
    await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")))
    await recognize(aio_client, RecognizeInputType.DTMF, initial_silence_timeout=0)

    await application.event("RecognizeFailed")
    [play], [recognition] = call.plays, call.recognitions
    assert play.outcome is PlayOutcome.COMPLETED
    assert play.ended_at <= recognition.started_at


async def test_recognition_may_interrupt_what_is_played(
    aio_client, call, connection_id, recognize, application, files, ear
):
    await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")), loop=True)
    await ear.until(lambda: sounds(ear.heard))

    await recognize(
        aio_client, RecognizeInputType.DTMF, initial_silence_timeout=0, interrupt_call_media_operation=True
    )

    await application.event("RecognizeFailed")
    assert [play.outcome for play in call.plays] == [PlayOutcome.CANCELED]


async def test_all_that_is_under_way_or_waits_is_cancelled(
    client, call, connection_id, recognize, application, happened
):
    for context in ("listens", "waits"):
        await recognize(client, RecognizeInputType.DTMF, operation_context=context)
    await happened(call, "recognize_listening")

    await client.on_call(connection_id, "cancel_all_media_operations")

    await application.until(lambda: application.event_types().count("RecognizeCanceled") == 2)
    canceled = [each["data"] for each in application.events() if each["type"].endswith("RecognizeCanceled")]
    assert {each["operationContext"] for each in canceled} == {"listens", "waits"}
    results = {(each["resultInformation"]["code"], each["resultInformation"]["subCode"]) for each in canceled}
    assert results == {(400, 8508)}
    presses(call, "1")
    assert {each.outcome for each in call.recognitions} == {PlayOutcome.CANCELED}


async def test_end_of_the_call_fails_it(acs_emulator, aio_client, call, recognize, application, happened):
    await recognize(aio_client, RecognizeInputType.DTMF, operation_context="pin")
    await happened(call, "recognize_listening")

    await acs_emulator.calls.caller_hangs_up(call)

    failed = await told(application, "RecognizeFailed")
    assert (failed["operationContext"], failed["resultInformation"]["subCode"]) == ("pin", 8528)


async def test_operation_may_have_a_callback_uri_of_its_own(client, recognize, application):
    own = application.base_url + "/callbacks/own"

    await recognize(client, RecognizeInputType.DTMF, initial_silence_timeout=0, operation_callback_url=own)

    await application.event("RecognizeFailed")
    paths = {each.method for each in application.callbacks if b"Communication.Recognize" in each.body}
    assert paths == {"/callbacks/own"}


async def test_what_was_asked_for_can_be_looked_up(
    acs_emulator, http, aio_client, call, recognize, application
):
    await recognize(
        aio_client,
        RecognizeInputType.CHOICES,
        choices=[YES],
        speech_language="de-DE",
        speech_recognition_model_endpoint_id="model-1",
        initial_silence_timeout=0,
        operation_context="menu",
    )
    await application.event("RecognizeFailed")

    async with http.get(f"{acs_emulator.base_url}/emulator/calls/{call.correlation_id}") as response:
        [recognition] = (await response.json())["recognitions"]

    options = recognition["request"]["recognizeOptions"]
    assert (options["speechLanguage"], options["speechRecognitionModelEndpointId"]) == ("de-DE", "model-1")
    assert options["choices"] == [{"label": "Confirm", "phrases": ["yes"], "tone": "one"}]
    assert (recognition["outcome"], recognition["subCode"]) == ("failed", 8510)
    assert (
        recognition["askedAt"]
        <= recognition["startedAt"]
        <= recognition["listeningAt"]
        <= recognition["endedAt"]
    )


async def test_program_of_the_caller_is_told_and_may_answer(acs_emulator, aio_client, application, http):
    url = f"{acs_emulator.base_url}/phone?to=%2B18005550199&from=%2B14255550100"
    async with http.ws_connect(url) as phone, asyncio.timeout(5):
        [call] = acs_emulator.calls
        answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
        async for message in phone:
            state = json.loads(message.data).get("state") if isinstance(message.data, str) else None
            if state == "connected":
                await aio_client.on_call(
                    answered.call_connection_id,
                    "start_recognizing_media",
                    RecognizeInputType.SPEECH,
                    CALLER,
                    end_silence_timeout=0,
                )
            elif state == "recognize_listening":
                await phone.send_json({"type": "say", "text": "My card is lost.", "ms": 20})
            elif state == "recognize_completed":
                break

    assert (await told(application, "RecognizeCompleted"))["speechResult"]["speech"] == "My card is lost."


@pytest.mark.parametrize(
    "message",
    [
        {"text": 5},
        {},
        {"text": "a" * 4001},
        {"text": "a", "ms": -1},
        {"text": "a", "ms": True},
        {"text": "a", "ms": "1"},
        {"text": "a", "ms": 600_001},
    ],
)
async def test_words_that_the_phone_cannot_say_end_its_call(acs_emulator, http, message):
    url = f"{acs_emulator.base_url}/phone?to=%2B18005550199&from=%2B14255550100"
    async with http.ws_connect(url) as phone, asyncio.timeout(5):
        await phone.send_json({"type": "say", **message})
        async for _ in phone:
            pass
        assert phone.close_code == 1003


async def test_members_that_are_left_out_have_the_documented_defaults(
    acs_emulator, http, call, connection_id
):
    target = {"phoneNumber": {"value": "+14255550100"}}
    body = {"recognizeInputType": "speechOrDtmf", "recognizeOptions": {"targetParticipant": target}}
    path = f"/callConnections/{connection_id}:recognize"

    assert (await send(http, acs_emulator, "POST", path, json.dumps(body).encode()))[0] == 202

    [recognition] = call.recognitions
    options = recognition.request.recognize_options
    assert (options.interrupt_prompt, options.speech_language) == (True, "en-US")
    assert options.initial_silence_timeout_in_seconds == 5
    assert options.dtmf_options.inter_tone_timeout_in_seconds == 2
    assert options.speech_options.end_silence_timeout_in_ms == 500
