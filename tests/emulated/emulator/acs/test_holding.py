"""A caller on hold: apart from the application, with music or without, and taken back again."""

import asyncio

import pytest
from aiohttp import web
from azure.communication.callautomation import (
    FileSource,
    PhoneNumberIdentifier,
    RecognizeInputType,
    SsmlSource,
    TextSource,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.faults import FaultRule, Hang, Status
from emulator.media.line import Line
from emulator.media.pcm import is_audible
from tests.support.playing import BEEP, RATE_HZ
from tests.support.shapes import assert_same_shape, example
from tests.support.voice import sounds

NUMBER, CALLER = "+18005550199", PhoneNumberIdentifier("+14255550100")
AZURE_AI = "https://ai.example.com/"


@pytest.fixture
async def call(acs_emulator, ear):
    return await acs_emulator.calls.place(
        to=NUMBER, from_="+14255550100", line=Line(rate_hz=RATE_HZ, on_audio=ear)
    )


@pytest.fixture
async def connection_id(call, aio_client, application, happened):
    """The call's, which is answered with an Azure AI, and connected."""
    answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
    await happened(call, "connected")
    return answered.call_connection_id


def on_hold(application):
    """Whether the caller is, as told with each number."""
    told = [each["data"] for each in application.events() if each["type"].endswith("ParticipantsUpdated")]
    return {each["sequenceNumber"]: each["participants"][0]["isOnHold"] for each in told}


async def test_caller_hears_the_music_again_and_again(client, call, connection_id, files, ear):
    await client.on_call(connection_id, "hold", CALLER, play_source=FileSource(url=files.url("beep.wav")))

    await ear.until(lambda: len(sounds(ear.heard)) > 2 * len(BEEP))
    assert sounds(ear.heard).startswith(2 * BEEP)


async def test_music_ends_when_the_caller_is_taken_back(client, call, connection_id, files, ear):
    await client.on_call(connection_id, "hold", CALLER, play_source=FileSource(url=files.url("beep.wav")))
    await ear.until(lambda: sounds(ear.heard))

    await client.on_call(connection_id, "unhold", CALLER)
    ear.heard.clear()

    await client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")))
    await ear.until(lambda: len(sounds(ear.heard)) >= len(BEEP))
    assert sounds(ear.heard) == BEEP


@pytest.mark.parametrize(
    "words",
    [
        TextSource(text="One moment.", voice_name="en-US-JennyNeural"),
        SsmlSource(ssml_text='<speak xmlns="http://www.w3.org/2001/10/synthesis">One moment.</speak>'),
    ],
    ids=["text", "ssml"],
)
async def test_words_can_be_heard_on_hold(aio_client, call, connection_id, ear, words):
    await aio_client.on_call(connection_id, "hold", CALLER, play_source=words)

    await ear.until(lambda: is_audible(bytes(ear.heard)))


async def test_participants_tell_who_is_on_hold(client, call, connection_id, application, happened):
    await client.on_call(connection_id, "hold", CALLER)
    await happened(call, "held")
    on = await client.on_call(connection_id, "list_participants")
    await client.on_call(connection_id, "unhold", CALLER)
    off = await client.on_call(connection_id, "get_participant", CALLER)

    assert [each.is_on_hold for each in on] == [True, False]
    assert off.is_on_hold is False
    await application.until(lambda: len(on_hold(application)) == 3)
    assert on_hold(application) == {1: False, 2: True, 3: False}


async def test_application_hears_nothing_of_a_caller_on_hold(aio_client, acs_emulator, application, happened):
    line = Line(rate_hz=RATE_HZ)
    call = await acs_emulator.calls.place(to=NUMBER, from_="+14255550100", line=line)
    answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
    await happened(call, "connected")
    listen = ("start_recognizing_media", RecognizeInputType.DTMF, CALLER)
    await aio_client.on_call(answered.call_connection_id, *listen, dtmf_max_tones_to_collect=1)
    await happened(call, "recognize_listening")

    await aio_client.on_call(answered.call_connection_id, "hold", CALLER)
    await happened(call, "held")
    call.press("1")
    call.say_text("Is anybody there?")
    await aio_client.on_call(answered.call_connection_id, "unhold", CALLER)
    call.press("2")

    assert (await application.event("RecognizeCompleted"))["data"]["dtmfResult"] == {"tones": ["two"]}


async def test_what_is_played_meanwhile_passes_the_caller_by(
    aio_client, call, connection_id, application, happened, files, ear
):
    await aio_client.on_call(connection_id, "hold", CALLER)
    await happened(call, "held")

    await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")))

    await application.event("PlayCompleted")
    assert not sounds(ear.heard)


@pytest.mark.parametrize(
    ("name", "code", "sub_code"),
    [("missing.wav", 400, 8536), ("text.wav", 400, 8535)],
    ids=["gone", "format"],
)
async def test_music_that_cannot_be_had_leaves_the_caller(
    client, call, connection_id, application, files, name, code, sub_code
):
    async def text(_):
        return web.Response(text="no audio", status=200 if name == "text.wav" else 404)

    files.answers[name] = text

    music = FileSource(url=files.url(name))
    await client.on_call(connection_id, "hold", CALLER, play_source=music, operation_context="wait")

    failed = await application.event("HoldFailed")
    assert failed["data"]["operationContext"] == "wait"
    assert (failed["data"]["resultInformation"]["code"], failed["data"]["resultInformation"]["subCode"]) == (
        code,
        sub_code,
    )
    published = example("callback_data_call_transfer_failed")["data"]
    assert_same_shape(failed["data"], published, extra=frozenset({"version", "publicEventType"}))
    assert not call.line.is_held
    await client.on_call(connection_id, "hold", CALLER)


async def test_azure_ai_that_does_not_speak_is_told(acs_emulator, aio_client, connection_id, application):
    acs_emulator.faults.add(FaultRule("azure_ai.speak", Status(403, code="7606"), times=1))

    await aio_client.on_call(connection_id, "hold", CALLER, play_source=TextSource(text="One moment."))

    failed = await application.event("HoldFailed")
    assert failed["data"]["resultInformation"]["subCode"] == 7606


@pytest.mark.parametrize("end", ["unhold", "hang up"])
async def test_hold_that_did_not_come_about_has_failed(
    acs_emulator, aio_client, call, connection_id, application, end
):
    acs_emulator.faults.add(FaultRule("azure_ai.speak", Hang(), times=1))
    await aio_client.on_call(connection_id, "hold", CALLER, play_source=TextSource(text="One moment."))
    await asyncio.sleep(0)

    if end == "unhold":
        await aio_client.on_call(connection_id, "unhold", CALLER)
    else:
        await acs_emulator.calls.caller_hangs_up(call)

    failed = await application.event("HoldFailed")
    assert failed["data"]["resultInformation"]["subCode"] == (8508 if end == "unhold" else 8528)
    assert 2 not in on_hold(application)


async def test_whoever_the_caller_is_sent_on_to_hears_them(
    aio_client, call, connection_id, application, outside, transfer, files, happened
):
    colleague = PhoneNumberIdentifier("+14255550177")
    outside(colleague, does="answers")
    await aio_client.on_call(connection_id, "hold", CALLER, play_source=FileSource(url=files.url("beep.wav")))
    await happened(call, "held")

    await transfer(connection_id, colleague)

    await application.event("CallTransferAccepted")
    assert not call.line.is_held


async def test_nobody_is_put_on_hold_twice_or_taken_back_twice(client, connection_id):
    await client.on_call(connection_id, "hold", CALLER)
    with pytest.raises(HttpResponseError) as held_twice:
        await client.on_call(connection_id, "hold", CALLER)
    await client.on_call(connection_id, "unhold", CALLER)
    with pytest.raises(HttpResponseError) as taken_back_twice:
        await client.on_call(connection_id, "unhold", CALLER)

    for refused in (held_twice, taken_back_twice):
        assert (refused.value.status_code, refused.value.error.code) == (400, "8585")


@pytest.mark.parametrize("operation", ["hold", "unhold"])
async def test_only_the_caller_is_put_on_hold(client, connection_id, operation):
    with pytest.raises(ResourceNotFoundError) as refused:
        await client.on_call(connection_id, operation, PhoneNumberIdentifier("+14255550188"))

    assert refused.value.error.code == "8522"


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        (TextSource(text=" "), 400, "8582"),
        (FileSource(url="http://files.example.com/a.wav"), 400, "8523"),
    ],
    ids=["nothing to say", "plain http"],
)
async def test_music_that_nobody_could_play_is_refused(client, connection_id, source, status, code):
    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(connection_id, "hold", CALLER, play_source=source)

    assert (refused.value.status_code, refused.value.error.code) == (status, code)


async def test_words_on_hold_need_an_azure_ai(aio_client, place_call, application, happened):
    call = await place_call()
    answered = await aio_client.answer(call, application)
    await happened(call, "connected")

    with pytest.raises(HttpResponseError) as refused:
        await aio_client.on_call(
            answered.call_connection_id, "hold", CALLER, play_source=TextSource(text="One moment.")
        )

    assert (refused.value.status_code, refused.value.error.code) == (405, "8522")
