"""Keys that the application presses towards the caller."""

import asyncio
import json

import aiohttp
import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, DtmfTone, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError

from emulator.call_automation import sent_tones
from emulator.call_automation.sent_tones import MAX_REQUESTS
from emulator.faults import FaultRule, Status
from emulator.media.line import Line
from tests.support.acs_signing import send

CALLER = PhoneNumberIdentifier("+14255550100")
VOIP_CALLER = "8:acs:22222222-2222-2222-2222-222222222222_00000014-0000-0000-0000-00000000000a"


@pytest.fixture
def quick_tones(monkeypatch):
    monkeypatch.setattr(sent_tones, "TONE_SECONDS", 0.001)


@pytest.fixture
def slow_tones(monkeypatch):
    monkeypatch.setattr(sent_tones, "TONE_SECONDS", 60.0)


def received(call) -> str:
    return "".join(each.detail["digit"] for each in call.happenings if each.name == "dtmf_received")


async def send_raw(http, emulator, connection_id, *, headers=None, **body):
    sent = {"tones": ["one"], "targetParticipant": {"phoneNumber": {"value": "+14255550100"}}} | body
    path = f"/callConnections/{connection_id}:sendDtmfTones"
    return await send(http, emulator, "POST", path, json.dumps(sent).encode(), headers=headers or {})


async def test_caller_receives_every_key_and_then_the_application_is_told(
    client, call, connection_id, application, quick_tones
):
    result = await client.on_call(
        connection_id, "send_dtmf_tones", list(DtmfTone), CALLER, operation_context="send"
    )

    assert result.operation_context == "send"
    completed = (await application.event("SendDtmfTonesCompleted"))["data"]
    assert received(call) == "0123456789ABCD#*"
    assert (completed["callConnectionId"], completed["operationContext"]) == (connection_id, "send")
    assert completed["resultInformation"]["code"] == 200
    assert completed["resultInformation"]["subCode"] == 0


async def test_program_of_the_caller_is_told_of_the_keys(acs_emulator, aio_client, application, http):
    url = acs_emulator.base_url + "/phone?to=%2B18005550199&from=%2B14255550100"
    async with http.ws_connect(url) as phone, asyncio.timeout(5):
        [call] = acs_emulator.calls
        answered = await aio_client.answer(call, application)
        digits = []
        async for message in phone:
            state = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
            if state.get("state") == "connected":
                await aio_client.on_call(
                    answered.call_connection_id, "send_dtmf_tones", ["seven", "pound"], CALLER
                )
            elif state.get("state") == "dtmf_received":
                digits.append(state["digit"])
            elif state.get("event") == "SendDtmfTonesCompleted":
                break

    assert digits == ["7", "#"]


async def test_operation_may_have_a_callback_uri_of_its_own(client, connection_id, application, quick_tones):
    own = application.base_url + "/callbacks/own"

    await client.on_call(connection_id, "send_dtmf_tones", ["one"], CALLER, operation_callback_url=own)

    await application.event("SendDtmfTonesCompleted")
    [callback] = [each for each in application.callbacks if b"SendDtmfTones" in each.body]
    assert callback.method == "/callbacks/own"


async def test_requests_take_turns(aio_client, call, connection_id, application, quick_tones):
    for tones in (["one", "two", "three"], ["four"], ["five", "six"]):
        await aio_client.on_call(connection_id, "send_dtmf_tones", tones, CALLER)

    await application.until(lambda: application.event_types().count("SendDtmfTonesCompleted") == 3)
    assert received(call) == "123456"


async def test_only_so_many_requests_may_wait(
    acs_emulator, http, connection_id, application, happened, call, monkeypatch, slow_tones
):
    monkeypatch.setattr(sent_tones, "MAX_REQUESTS", 2)
    statuses = [(await send_raw(http, acs_emulator, connection_id))[0] for _ in range(2)]

    refused, error = await send_raw(http, acs_emulator, connection_id)

    assert MAX_REQUESTS == 100
    assert (statuses, refused, error["error"]["code"]) == ([202, 202], 400, "8500")


@pytest.mark.parametrize("requests", [1, 3])
async def test_end_of_the_call_fails_what_the_caller_has_not_heard(
    acs_emulator, aio_client, call, connection_id, application, happened, slow_tones, requests
):
    for number in range(requests):
        await aio_client.on_call(
            connection_id, "send_dtmf_tones", ["one", "two"], CALLER, operation_context=f"send-{number}"
        )
    await happened(call, "dtmf_received")

    await acs_emulator.calls.caller_hangs_up(call)

    await application.until(lambda: application.event_types().count("SendDtmfTonesFailed") == requests)
    failed = [each["data"] for each in application.events() if each["type"].endswith("SendDtmfTonesFailed")]
    assert {each["operationContext"] for each in failed} == {f"send-{number}" for number in range(requests)}
    assert {each["resultInformation"]["subCode"] for each in failed} == {8528}
    assert received(call) == "1"


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"tones": ["one", "hash"]}, "tones[1]"),
        ({"tones": []}, "tones"),
        ({"tones": ["one"] * 19}, "tones"),
        ({"tones": None}, "tones"),
        ({"targetParticipant": None}, "targetParticipant"),
        ({"targetParticipant": {}}, "targetParticipant"),
        ({"operationCallbackUri": "ftp://gw.example.com/"}, "operationCallbackUri"),
    ],
)
async def test_invalid_request_is_refused_naming_the_member(acs_emulator, http, connection_id, body, target):
    status, sent = await send_raw(http, acs_emulator, connection_id, **body)

    assert (status, sent["error"]["code"], sent["error"]["target"]) == (400, "8523", target)


async def test_eighteen_tones_are_taken(acs_emulator, http, connection_id, application, quick_tones):
    status, sent = await send_raw(http, acs_emulator, connection_id, tones=["one"] * 18)

    assert (status, sent) == (202, {"operationContext": None})
    await application.event("SendDtmfTonesCompleted")


async def test_tones_go_to_participants_only(client, connection_id):
    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(connection_id, "send_dtmf_tones", ["one"], PhoneNumberIdentifier("+14255550177"))

    assert (refused.value.status_code, refused.value.error.code) == (404, "8522")


async def test_tones_go_to_phones_only(aio_client, place_call, application, happened):
    call = await place_call(from_=VOIP_CALLER)
    answered = await aio_client.answer(call, application)
    await happened(call, "connected")

    with pytest.raises(HttpResponseError) as refused:
        await aio_client.on_call(
            answered.call_connection_id,
            "send_dtmf_tones",
            ["one"],
            CommunicationUserIdentifier(VOIP_CALLER),
        )

    assert (refused.value.status_code, refused.value.error.code) == (400, "8523")


async def test_tones_wait_for_the_call_to_be_connected(start_emulator, make_client, application):
    emulator = await start_emulator(connect_seconds=60.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    answered = await client.answer(call, application)

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "send_dtmf_tones", ["one"], CALLER)

    assert (refused.value.status_code, refused.value.error.code) == (400, "8501")


async def test_call_that_has_ended_is_not_found(acs_emulator, client, call, connection_id):
    await acs_emulator.calls.caller_hangs_up(call)

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(connection_id, "send_dtmf_tones", ["one"], CALLER)

    assert (refused.value.status_code, refused.value.error.code) == (404, "8522")


async def test_repeated_request_presses_the_keys_once(
    acs_emulator, http, call, connection_id, application, quick_tones
):
    headers = {"Repeatability-Request-ID": "3f0b"}

    first = await send_raw(http, acs_emulator, connection_id, headers=headers)
    second = await send_raw(http, acs_emulator, connection_id, headers=headers)
    await send_raw(http, acs_emulator, connection_id, tones=["nine"])

    await application.until(lambda: application.event_types().count("SendDtmfTonesCompleted") == 2)
    assert first == second
    assert received(call) == "19"


async def test_faults_strike_the_request_of_one_call(
    acs_emulator, client, call, connection_id, application, quick_tones
):
    acs_emulator.faults.add(FaultRule("sendDtmfTones", Status(status=503), call="+14255550100", times=1))

    with pytest.raises(HttpResponseError) as failed:
        await client.on_call(connection_id, "send_dtmf_tones", ["one"], CALLER)
    await client.on_call(connection_id, "send_dtmf_tones", ["two"], CALLER)

    assert failed.value.status_code == 503
    await application.event("SendDtmfTonesCompleted")
    assert received(call) == "2"
