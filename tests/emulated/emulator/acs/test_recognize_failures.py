"""What is not recognised: prompts that cannot be had, an Azure AI that does not listen, requests that are refused."""

import json

import pytest
from aiohttp import web
from azure.communication.callautomation import (
    FileSource,
    PhoneNumberIdentifier,
    RecognitionChoice,
    RecognizeInputType,
    TextSource,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.call_automation import media_queue
from emulator.faults import FaultRule, Hang, Reset, Status
from emulator.media.line import Line
from tests.support.acs_signing import send
from tests.support.playing import RATE_HZ
from tests.support.voice import sounds

NUMBER, CALLER = "+18005550199", PhoneNumberIdentifier("+14255550100")
AZURE_AI = "https://ai.example.com/"
HELLO = TextSource(text="Hello.", voice_name="en-US-JennyNeural")


@pytest.fixture
async def acs_emulator(start_emulator):
    """One whose patience with files and Azure AI is short."""
    return await start_emulator(request_timeout_seconds=0.5)


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


async def failure(application):
    """Code, subcode and index of the source."""
    failed = (await application.event("RecognizeFailed"))["data"]
    result = failed["resultInformation"]
    return result["code"], result["subCode"], failed.get("failedPlaySourceIndex")


async def not_there(files):
    return web.Response(status=404)


async def test_prompt_that_cannot_be_fetched(client, connection_id, application, files, ear):
    files.answers["gone.wav"] = not_there
    prompts = [FileSource(url=files.url("beep.wav")), FileSource(url=files.url("gone.wav"))]

    await client.on_call(
        connection_id, "start_recognizing_media", RecognizeInputType.DTMF, CALLER, play_prompt=prompts
    )

    assert await failure(application) == (500, 8511, 1)
    assert not sounds(ear.heard)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (Status(403, code="7606"), (403, 7606)),
        (Status(400, code="8567"), (400, 8567)),
        (Status(429), (429, 8565)),
        (Status(500, code="8570"), (500, 8570)),
        (Hang(), (408, 8565)),
        (Reset(), (500, 8564)),
    ],
    ids=["role", "identity", "too many", "recognition", "late", "lost"],
)
async def test_azure_ai_that_does_not_listen(
    acs_emulator, aio_client, connection_id, application, action, told
):
    acs_emulator.faults.add(FaultRule("azure_ai.recognize", action, call="+14255550100"))

    await aio_client.on_call(
        connection_id, "start_recognizing_media", RecognizeInputType.SPEECH, CALLER, play_prompt=HELLO
    )

    assert await failure(application) == (*told, None)


async def test_azure_ai_that_does_not_speak_the_prompt(acs_emulator, aio_client, connection_id, application):
    acs_emulator.faults.add(FaultRule("azure_ai.speak", Status(403, code="7606")))

    await aio_client.on_call(
        connection_id, "start_recognizing_media", RecognizeInputType.DTMF, CALLER, play_prompt=HELLO
    )

    assert await failure(application) == (403, 7606, 0)


async def test_keys_need_no_azure_ai(acs_emulator, aio_client, call, application, happened):
    acs_emulator.faults.add(FaultRule("azure_ai.*", Status(403, code="7606")))
    answered = await aio_client.answer(call, application)
    await happened(call, "connected")
    await aio_client.on_call(
        answered.call_connection_id,
        "start_recognizing_media",
        RecognizeInputType.DTMF,
        CALLER,
        dtmf_max_tones_to_collect=1,
    )
    await happened(call, "recognize_listening")

    call.press("1")

    assert await application.event("RecognizeCompleted")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RecognizeInputType.SPEECH, {}),
        (RecognizeInputType.SPEECH_OR_DTMF, {}),
        (RecognizeInputType.CHOICES, {"choices": [RecognitionChoice(label="a", phrases=["a"])]}),
        (RecognizeInputType.DTMF, {"play_prompt": HELLO}),
    ],
    ids=["speech", "speech or keys", "choices", "spoken prompt"],
)
async def test_call_that_was_answered_without_azure_ai(client, call, application, happened, kind, options):
    answered = await client.answer(call, application)
    await happened(call, "connected")

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "start_recognizing_media", kind, CALLER, **options)

    assert (refused.value.status_code, refused.value.error.code) == (405, "8522")
    assert not call.recognitions


async def test_somebody_who_is_not_the_caller(client, connection_id):
    with pytest.raises(ResourceNotFoundError) as refused:
        await client.on_call(
            connection_id,
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            PhoneNumberIdentifier("+14255550188"),
        )

    assert refused.value.error.code == "8522"


async def test_call_that_is_not_connected_yet(start_emulator, make_client, application):
    emulator = await start_emulator(connect_seconds=60.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER, from_="+14255550100", line=Line(rate_hz=RATE_HZ))
    answered = await client.answer(call, application)

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(
            answered.call_connection_id, "start_recognizing_media", RecognizeInputType.DTMF, CALLER
        )

    assert (refused.value.status_code, refused.value.error.code) == (400, "8501")


TARGET = {"phoneNumber": {"value": "+14255550100"}}
BEEP = {"kind": "file", "file": {"uri": "https://gw.example.com/beep.wav"}}
CHOICE = {"label": "a", "phrases": ["a"]}

BAD_REQUESTS = [
    ("no kind", {"recognizeInputType": None}, {}, "recognizeInputType", "8523"),
    ("unknown kind", {"recognizeInputType": "smell"}, {}, "recognizeInputType", "8523"),
    ("nobody", {}, {"targetParticipant": None}, "recognizeOptions.targetParticipant", "8523"),
    (
        "silence",
        {},
        {"initialSilenceTimeoutInSeconds": 301},
        "recognizeOptions.initialSilenceTimeoutInSeconds",
        "8523",
    ),
    (
        "between keys",
        {},
        {"dtmfOptions": {"interToneTimeoutInSeconds": 61}},
        "recognizeOptions.dtmfOptions.interToneTimeoutInSeconds",
        "8523",
    ),
    (
        "no keys",
        {},
        {"dtmfOptions": {"maxTonesToCollect": 0}},
        "recognizeOptions.dtmfOptions.maxTonesToCollect",
        "8523",
    ),
    (
        "stop tone",
        {},
        {"dtmfOptions": {"stopTones": ["hash"]}},
        "recognizeOptions.dtmfOptions.stopTones[0]",
        "8523",
    ),
    ("no choices", {"recognizeInputType": "choices"}, {}, "recognizeOptions.choices", "8523"),
    (
        "no phrases",
        {"recognizeInputType": "choices"},
        {"choices": [{"label": "a", "phrases": []}]},
        "recognizeOptions.choices[0].phrases",
        "8523",
    ),
    ("prompts twice", {"playPrompt": BEEP, "playPrompts": [BEEP]}, {}, "playPrompts", "8523"),
    (
        "file over plain http",
        {"playPrompt": {"kind": "file", "file": {"uri": "http://gw.example.com/a.wav"}}},
        {},
        "playPrompt.file.uri",
        "8523",
    ),
    (
        "nothing to say",
        {"playPrompts": [BEEP, {"kind": "text", "text": {"text": " "}}]},
        {},
        "playPrompts[1].text",
        "8582",
    ),
    ("callback", {"operationCallbackUri": "http://gw.example.com/"}, {}, "operationCallbackUri", "8523"),
]


@pytest.mark.parametrize(
    ("members", "options", "target", "code"),
    [case[1:] for case in BAD_REQUESTS],
    ids=[case[0] for case in BAD_REQUESTS],
)
async def test_invalid_request_is_refused_naming_the_member(
    acs_emulator, http, call, connection_id, members, options, target, code
):
    body = {
        "recognizeInputType": "dtmf",
        "recognizeOptions": {"targetParticipant": TARGET, **options},
        **members,
    }
    path = f"/callConnections/{connection_id}:recognize"

    status, sent = await send(http, acs_emulator, "POST", path, json.dumps(body).encode())

    assert (status, sent["error"]["code"], sent["error"]["target"]) == (400, code, target)
    assert not call.recognitions


async def test_only_so_many_requests_may_wait(aio_client, call, connection_id, application, monkeypatch):
    monkeypatch.setattr(media_queue, "MAX_REQUESTS", 1)

    async def ask(**options):
        await aio_client.on_call(
            connection_id, "start_recognizing_media", RecognizeInputType.DTMF, CALLER, **options
        )

    await ask()
    with pytest.raises(HttpResponseError) as refused:
        await ask()
    await ask(interrupt_call_media_operation=True)

    assert (refused.value.status_code, refused.value.error.code) == (400, "8500")
    assert len(call.recognitions) == 2
