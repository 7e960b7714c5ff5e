"""What is not played: files that cannot be had, an Azure AI that does not speak, requests that are refused."""

import json

import pytest
from aiohttp import web
from azure.communication.callautomation import FileSource, PhoneNumberIdentifier, SsmlSource, TextSource
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.call_automation import play_sources
from emulator.faults import Cut, Delay, FaultRule, Hang, Pause, Reset, Status
from emulator.media.line import Line
from emulator.speech import SpeechError
from tests.support.acs_signing import send
from tests.support.playing import BEEP, RATE_HZ
from tests.support.records import wav_bytes
from tests.support.voice import sounds

NUMBER, CALLER = "+18005550199", "+14255550100"
AZURE_AI = "https://ai.example.com/"
SORRY = TextSource(text="Sorry.", voice_name="en-US-JennyNeural")


@pytest.fixture
async def acs_emulator(start_emulator):
    """One whose patience with files and Azure AI is short."""
    return await start_emulator(request_timeout_seconds=0.5)


@pytest.fixture
async def call(acs_emulator, ear):
    return await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=RATE_HZ, on_audio=ear))


@pytest.fixture
async def connection_id(call, aio_client, application, happened):
    """The call's, which is answered with an Azure AI, and connected."""
    answered = await aio_client.answer(call, application, cognitive_services_endpoint=AZURE_AI)
    await happened(call, "connected")
    return answered.call_connection_id


async def failure(application):
    """Code, subcode and index of the source."""
    failed = (await application.event("PlayFailed"))["data"]
    result = failed["resultInformation"]
    return result["code"], result["subCode"], failed["failedPlaySourceIndex"]


async def not_there(files):
    return web.Response(status=404)


async def elsewhere(files):
    return web.Response(status=302, headers={"Location": "/beep.wav"})


async def too_late(files):
    await files.stopping.wait()
    return web.Response()


async def nonsense(files):
    return web.Response(body=b"ID3 this is no WAV file")


def wav(pcm=BEEP, **shape):
    async def answer(files):
        return web.Response(body=wav_bytes(pcm, **{"rate_hz": RATE_HZ, **shape}))

    return answer


@pytest.mark.parametrize(
    ("answer", "sub_code"),
    [
        (not_there, 8536),
        (elsewhere, 8536),
        (too_late, 8536),
        (nonsense, 8535),
        (wav(rate_hz=8_000), 8535),
        (wav(rate_hz=24_000), 8535),
        (wav(channels=2), 8535),
        (wav(width=1), 8535),
    ],
    ids=["404", "redirect", "slow", "no WAV", "8 kHz", "24 kHz", "stereo", "8 bit"],
)
async def test_file_that_acs_cannot_use_fails(
    aio_client, connection_id, application, files, ear, answer, sub_code
):
    files.answers["odd.wav"] = answer
    sources = [FileSource(url=files.url(name)) for name in ("beep.wav", "odd.wav")]

    await aio_client.on_call(connection_id, "play_media", sources)

    assert await failure(application) == (400, sub_code, 1)
    assert not sounds(ear.heard)
    assert "PlayStarted" not in application.event_types()


async def test_file_that_is_too_large_is_not_fetched_to_its_end(
    aio_client, connection_id, application, files, monkeypatch
):
    monkeypatch.setattr(play_sources, "MAX_FILE_BYTES", 3_000)

    await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")))

    assert await failure(application) == (400, 8536, 0)


async def test_next_request_has_its_turn_after_one_that_failed(
    aio_client, connection_id, application, files, ear
):
    files.answers["odd.wav"] = not_there
    for name in ("odd.wav", "beep.wav"):
        await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url(name)))

    await application.event("PlayCompleted")
    assert sounds(ear.heard) == BEEP


@pytest.mark.parametrize(
    ("fault", "code", "sub_code"),
    [
        (Status(400), 400, 8565),
        (Status(401, code="8565"), 401, 8565),
        (Status(403, code="quota"), 403, 8565),
        (Status(429, code="8565"), 429, 8565),
        (Status(400, code="8567"), 400, 8567),
        (Status(400, code="8568"), 400, 8568),
        (Status(403, code="7606"), 403, 7606),
        (Hang(), 408, 8565),
        (Delay(600), 408, 8565),
        (Reset(), 500, 8564),
        (Cut(), 500, 8564),
    ],
    ids=str,
)
async def test_azure_ai_that_does_not_speak_fails(
    acs_emulator, aio_client, connection_id, application, fault, code, sub_code
):
    acs_emulator.faults.add(FaultRule("azure_ai.speak", fault, call=CALLER))

    await aio_client.on_call(connection_id, "play_media", SORRY)

    assert await failure(application) == (code, sub_code, 0)


async def test_azure_ai_can_be_held(acs_emulator, aio_client, connection_id, application):
    acs_emulator.faults.add(FaultRule("azure_ai.speak", Pause()))
    await aio_client.on_call(connection_id, "play_media", SORRY)

    (await acs_emulator.faults.held("azure_ai.speak")).drop()

    assert await failure(application) == (500, 8564, 0)


async def test_file_needs_no_azure_ai(acs_emulator, aio_client, connection_id, application, files):
    acs_emulator.faults.add(FaultRule("azure_ai.*", Status(403, code="7606")))

    await aio_client.on_call(connection_id, "play_media", FileSource(url=files.url("beep.wav")))

    await application.event("PlayCompleted")


async def test_link_to_azure_ai_may_be_refused_at_once(acs_emulator, client, connection_id):
    acs_emulator.faults.fail_next("play", Status(403, code="7606"))

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(connection_id, "play_media", SORRY)

    assert (refused.value.status_code, refused.value.error.code) == (403, "7606")


@pytest.mark.parametrize("ssml", ["Sorry.", "<speak>Sorry.", "<speak>Sorry.</speak>"])
async def test_ssml_that_azure_ai_cannot_read_fails(aio_client, connection_id, application, ssml):
    await aio_client.on_call(connection_id, "play_media", SsmlSource(ssml_text=ssml))

    assert await failure(application) == (400, 8565, 0)


async def test_machine_without_a_voice_says_what_to_install(
    aio_client, call, connection_id, application, monkeypatch
):
    def none():
        raise SpeechError("no speech engine found")

    monkeypatch.setattr(play_sources, "find_engine", none)

    await aio_client.on_call(connection_id, "play_media", SORRY)

    message = (await application.event("PlayFailed"))["data"]["resultInformation"]["message"]
    assert "no speech engine found" in message


@pytest.mark.parametrize("source", [SORRY, SsmlSource(ssml_text="<speak/>")], ids=["text", "ssml"])
async def test_nothing_is_spoken_unless_the_answer_gave_an_azure_ai(
    client, call, application, happened, source
):
    answered = await client.answer(call, application)
    await happened(call, "connected")

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "play_media", source)

    assert (refused.value.status_code, refused.value.error.code) == (405, "8522")


FILE = {"kind": "file", "file": {"uri": "https://gw.example.com/a.wav"}}
WRONG = [
    ({}, "8523", "playSources"),
    ({"playSources": []}, "8523", "playSources"),
    ({"playSources": [FILE] * 11}, "8523", "playSources"),
    ({"playSources": [{"file": FILE["file"]}]}, "8523", "playSources[0].kind"),
    ({"playSources": [{"kind": "mp3"}]}, "8523", "playSources[0].kind"),
    ({"playSources": [FILE, {"kind": "text"}]}, "8523", "playSources[1]"),
    ({"playSources": [{"kind": "file", "file": {}}]}, "8523", "playSources[0].file.uri"),
    (
        {"playSources": [{"kind": "file", "file": {"uri": "http://gw.example.com/a.wav"}}]},
        "8523",
        "playSources[0].file.uri",
    ),
    ({"playSources": [{"kind": "text", "text": {"text": "a" * 4001}}]}, "8523", "playSources[0].text.text"),
    (
        {"playSources": [{"kind": "text", "text": {"text": "a", "voiceKind": "child"}}]},
        "8523",
        "playSources[0].text.voiceKind",
    ),
    ({"playSources": [{"kind": "text", "text": {"text": " "}}]}, "8582", "playSources[0].text"),
    ({"playSources": [FILE, {"kind": "ssml", "ssml": {"ssmlText": ""}}]}, "8582", "playSources[1].ssml"),
    ({"playSources": [FILE], "playTo": [{}]}, "8523", "playTo[0]"),
    ({"playSources": [FILE], "playOptions": {}}, "8523", "playOptions.loop"),
    (
        {"playSources": [FILE], "operationCallbackUri": "ftp://gw.example.com/"},
        "8523",
        "operationCallbackUri",
    ),
]


@pytest.mark.parametrize(("body", "code", "target"), WRONG, ids=[str(n) for n in range(len(WRONG))])
async def test_invalid_request_is_refused_naming_what_is_wrong(
    acs_emulator, http, call, connection_id, body, code, target
):
    path = f"/callConnections/{connection_id}:play"

    status, answer = await send(http, acs_emulator, "POST", path, json.dumps(body).encode())

    assert (status, answer["error"]["code"], answer["error"]["target"]) == (400, code, target)
    assert not call.plays


async def test_nobody_but_the_caller_can_be_played_to(client, connection_id):
    source = FileSource(url="https://gw.example.com/a.wav")

    with pytest.raises(ResourceNotFoundError) as refused:
        await client.on_call(connection_id, "play_media", source, [PhoneNumberIdentifier("+14255550177")])

    assert refused.value.error.code == "8522"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("play_media", [FileSource(url="https://gw.example.com/a.wav")]), ("cancel_all_media_operations", [])],
    ids=["play", "cancel"],
)
class TestInWhichCallItIsPossible:
    async def test_it_waits_for_the_call_to_be_connected(
        self, start_emulator, make_client, application, method, arguments
    ):
        emulator = await start_emulator(connect_seconds=60.0)
        client = await make_client(emulator)
        call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000))
        answered = await client.answer(call, application)

        with pytest.raises(HttpResponseError) as refused:
            await client.on_call(answered.call_connection_id, method, *arguments)

        assert (refused.value.status_code, refused.value.error.code) == (400, "8501")

    async def test_call_that_has_ended_is_not_found(
        self, acs_emulator, client, call, connection_id, method, arguments
    ):
        await acs_emulator.calls.caller_hangs_up(call)

        with pytest.raises(ResourceNotFoundError) as refused:
            await client.on_call(connection_id, method, *arguments)

        assert refused.value.error.code == "8522"
