"""Files and words that ACS plays to the caller, and what the application is told of it."""

import asyncio
import json

import aiohttp
import pytest
from azure.communication.callautomation import FileSource, PhoneNumberIdentifier, SsmlSource, TextSource

from emulator.call_automation import media_queue
from emulator.call_automation.media_queue import MAX_REQUESTS
from emulator.media.line import Line
from emulator.media.pcm import is_audible
from emulator.plays import PlayOutcome
from tests.support.acs_signing import send
from tests.support.playing import BEEP, RATE_HZ
from tests.support.shapes import assert_same_shape, example
from tests.support.voice import sounds

NUMBER, CALLER = "+18005550199", "+14255550100"
AZURE_AI = "https://ai.example.com/"


@pytest.fixture
async def call(acs_emulator, ear):
    return await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=RATE_HZ, on_audio=ear))


@pytest.fixture
async def connection_id(call, aio_client, application, happened):
    """The call's, which is answered with an Azure AI, and connected."""
    answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
    await happened(call, "connected")
    return answered.call_connection_id


def outcomes(call):
    return [play.outcome for play in call.plays]


async def test_caller_hears_the_file_and_then_the_application_is_told(
    client, call, connection_id, application, files, ear
):
    await client.on_call(
        connection_id, "play_media", FileSource(url=files.url("beep.wav")), operation_context="greet"
    )

    started = (await application.event("PlayStarted"))["data"]
    completed = (await application.event("PlayCompleted"))["data"]
    assert sounds(ear.heard) == BEEP
    for event in (started, completed):
        assert (event["callConnectionId"], event["operationContext"]) == (connection_id, "greet")
        assert (event["resultInformation"]["code"], event["resultInformation"]["subCode"]) == (200, 0)


async def test_several_sources_are_heard_as_one(aio_client, connection_id, application, files, ear):
    source = FileSource(url=files.url("beep.wav"))

    await aio_client.on_call(connection_id, "play_media", [source, source])

    await application.event("PlayCompleted")
    assert sounds(ear.heard) == 2 * BEEP
    assert application.event_types().count("PlayStarted") == 1


async def test_phone_of_another_rate_hears_it_as_long(acs_emulator, aio_client, application, happened, files):
    line = Line(rate_hz=8_000)
    call = await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    answered = await aio_client.answer(call, application)
    await happened(call, "connected")

    await aio_client.on_call(answered.call_connection_id, "play_media", FileSource(url=files.url("beep.wav")))

    await happened(call, "play_completed")
    assert line.prompts_ms == 100


@pytest.mark.parametrize(
    "source",
    [
        TextSource(text="Sorry.", voice_name="en-US-JennyNeural"),
        TextSource(text="Sorry.", source_locale="en-US", voice_kind="female"),
        SsmlSource(
            ssml_text='<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
            '<voice name="en-US-JennyNeural">Sorry.</voice></speak>'
        ),
    ],
    ids=["voice", "locale", "ssml"],
)
async def test_words_are_spoken(aio_client, connection_id, application, ear, source):
    await aio_client.on_call(connection_id, "play_media", source)

    await application.event("PlayCompleted")
    assert is_audible(bytes(ear.heard))


async def test_requests_take_turns(aio_client, call, connection_id, application, files, ear):
    for context in ("first", "second"):
        await aio_client.on_call(
            connection_id, "play_media", FileSource(url=files.url("beep.wav")), operation_context=context
        )

    await application.until(lambda: application.event_types().count("PlayCompleted") == 2)
    assert sounds(ear.heard) == 2 * BEEP
    first, second = call.plays
    assert first.started_at < first.ended_at <= second.started_at < second.ended_at


async def test_loop_goes_on_until_everything_is_cancelled(
    client, call, connection_id, application, files, ear
):
    source = FileSource(url=files.url("beep.wav"))
    await client.on_call(connection_id, "play_media", source, loop=True, operation_context="loop")
    await client.on_call(connection_id, "play_media", source, operation_context="waits")
    await ear.until(lambda: len(sounds(ear.heard)) > 2 * len(BEEP))

    await client.on_call(connection_id, "cancel_all_media_operations")

    await application.until(lambda: application.event_types().count("PlayCanceled") == 2)
    canceled = [each["data"] for each in application.events() if each["type"].endswith("PlayCanceled")]
    assert {each["operationContext"] for each in canceled} == {"loop", "waits"}
    assert {each["resultInformation"]["subCode"] for each in canceled} == {8508}
    assert sounds(ear.heard).startswith(2 * BEEP)
    assert outcomes(call) == [PlayOutcome.CANCELED] * 2


async def test_request_may_interrupt_what_is_played(aio_client, call, connection_id, application, files, ear):
    source = FileSource(url=files.url("beep.wav"))
    await aio_client.on_call(connection_id, "play_media", source, loop=True)
    await ear.until(lambda: sounds(ear.heard))

    await aio_client.on_call(connection_id, "play_media", source, interrupt_call_media_operation=True)

    await application.event("PlayCompleted")
    assert outcomes(call) == [PlayOutcome.CANCELED, PlayOutcome.COMPLETED]
    assert sounds(ear.heard).endswith(BEEP)


async def test_only_what_all_hear_may_interrupt(acs_emulator, http, call, connection_id, application, files):
    body = {
        "playSources": [{"kind": "file", "file": {"uri": files.url("beep.wav")}}],
        "playTo": [{"phoneNumber": {"value": CALLER}}],
        "interruptCallMediaOperation": True,
    }
    path = f"/callConnections/{connection_id}:play"
    for _ in range(2):
        assert (await send(http, acs_emulator, "POST", path, json.dumps(body).encode()))[0] == 202

    await application.until(lambda: application.event_types().count("PlayCompleted") == 2)
    assert outcomes(call) == [PlayOutcome.COMPLETED] * 2


async def test_caller_may_be_named(client, connection_id, application, files, ear):
    source = FileSource(url=files.url("beep.wav"))
    await client.on_call(connection_id, "play_media", source, [PhoneNumberIdentifier(CALLER)])

    await application.event("PlayCompleted")
    assert sounds(ear.heard) == BEEP


async def test_operation_may_have_a_callback_uri_of_its_own(client, connection_id, application, files):
    own = application.base_url + "/callbacks/own"
    source = FileSource(url=files.url("beep.wav"))

    await client.on_call(connection_id, "play_media", source, operation_callback_url=own)

    await application.event("PlayCompleted")
    paths = {each.method for each in application.callbacks if b"Communication.Play" in each.body}
    assert paths == {"/callbacks/own"}


@pytest.mark.parametrize("ended_by", ["caller", "application"])
async def test_end_of_the_call_fails_what_was_not_heard(
    acs_emulator, aio_client, call, connection_id, application, files, ear, ended_by
):
    source = FileSource(url=files.url("beep.wav"))
    for context in ("loop", "waits"):
        await aio_client.on_call(connection_id, "play_media", source, loop=True, operation_context=context)
    await ear.until(lambda: sounds(ear.heard))

    if ended_by == "caller":
        await acs_emulator.calls.caller_hangs_up(call)
    else:
        await aio_client.on_call(connection_id, "hang_up", is_for_everyone=True)

    await application.until(lambda: application.event_types().count("PlayFailed") == 2)
    failed = [each["data"] for each in application.events() if each["type"].endswith("PlayFailed")]
    assert {each["operationContext"] for each in failed} == {"loop", "waits"}
    assert {each["resultInformation"]["subCode"] for each in failed} == {8528}
    assert not any("failedPlaySourceIndex" in each for each in failed)


async def test_only_so_many_requests_may_wait(
    acs_emulator, http, connection_id, application, files, monkeypatch
):
    monkeypatch.setattr(media_queue, "MAX_REQUESTS", 2)
    source = {"kind": "file", "file": {"uri": files.url("beep.wav")}}
    body = json.dumps({"playSources": [source], "playOptions": {"loop": True}}).encode()
    path = f"/callConnections/{connection_id}:play"

    answers = [await send(http, acs_emulator, "POST", path, body) for _ in range(3)]

    assert MAX_REQUESTS == 100
    assert [status for status, _ in answers] == [202, 202, 400]
    assert answers[2][1]["error"]["code"] == "8500"


async def test_what_was_played_can_be_looked_up(
    acs_emulator, http, aio_client, call, connection_id, application, files
):
    url = files.url("beep.wav")
    source = FileSource(url=url, play_source_cache_id="beep")
    await aio_client.on_call(connection_id, "play_media", source, operation_context="greet")
    await application.event("PlayCompleted")

    async with http.get(f"{acs_emulator.base_url}/emulator/calls/{call.correlation_id}") as response:
        [play] = (await response.json())["plays"]

    assert play["sources"] == [{"kind": "file", "playSourceCacheId": "beep", "file": {"uri": url}}]
    assert (play["operationContext"], play["loop"]) == ("greet", False)
    assert (play["outcome"], play["subCode"]) == ("completed", 0)
    assert 0 < play["askedAt"] <= play["startedAt"] < play["endedAt"]


async def test_program_of_the_caller_hears_it_and_is_told_how_much(
    acs_emulator, aio_client, application, http, files
):
    url = f"{acs_emulator.base_url}/phone?to=%2B18005550199&from=%2B14255550100"
    heard, states, report = b"", [], {}
    async with http.ws_connect(url) as phone, asyncio.timeout(5):
        [call] = acs_emulator.calls
        answered = await aio_client.answer(call, application)
        async for message in phone:
            if message.type is aiohttp.WSMsgType.BINARY:
                heard += message.data
                continue
            told = json.loads(message.data)
            states.append(told["state"])
            if told["state"] == "connected":
                await aio_client.on_call(
                    answered.call_connection_id, "play_media", FileSource(url=files.url("beep.wav"))
                )
            elif told["state"] == "play_completed":
                await phone.send_json({"type": "hangup"})
            elif told["state"] == "ended":
                report = told["report"]

    assert sounds(heard) == BEEP
    assert (report["prompt_audio_ms"], report["agent_audio_ms"]) == (100, 0)
    assert states.index("play_started") < states.index("play_completed")


async def test_failure_has_the_shape_of_the_published_one(aio_client, connection_id, application):
    nowhere = FileSource(url="http://127.0.0.1:9/beep.wav")

    await aio_client.on_call(connection_id, "play_media", nowhere, operation_context="greet")

    extra = frozenset({"version", "publicEventType"})
    published = example("callback_data_play_failed")["data"]
    assert_same_shape((await application.event("PlayFailed"))["data"], published, extra=extra)
