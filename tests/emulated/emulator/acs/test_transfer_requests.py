"""Which requests for a transfer are refused, repeated or struck by faults."""

import json

import aiohttp
import pytest
from azure.communication.callautomation import PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.faults import Drop, FaultRule, Reset, Status, When
from emulator.media.line import Line
from emulator.outside import Manner
from tests.support.acs_signing import send
from tests.support.shapes import example

NUMBER, CALLER = "+18005550199", "+14255550100"
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


async def test_transfer_waits_for_the_call_to_be_connected(start_emulator, make_client, application):
    emulator = await start_emulator(connect_seconds=60.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000))
    answered = await client.answer(call, application)

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "transfer_call_to_participant", COLLEAGUE)

    assert (refused.value.status_code, refused.value.error.code) == (400, "8501")


async def test_only_the_caller_can_be_transferred(connection_id, transfer):
    with pytest.raises(ResourceNotFoundError) as refused:
        await transfer(connection_id, COLLEAGUE, transferee=COLLEAGUE)

    assert refused.value.error.code == "8522"


async def test_call_that_has_ended_is_not_transferred(acs_emulator, client, call, connection_id):
    await acs_emulator.calls.caller_hangs_up(call)

    with pytest.raises(ResourceNotFoundError) as refused:
        await client.on_call(connection_id, "transfer_call_to_participant", COLLEAGUE)

    assert refused.value.error.code == "8522"


def sip(**headers):
    return {"sipHeaders": {key.replace("_", "-"): value for key, value in headers.items()}}


WRONG = [
    ({"targetParticipant": None}, "targetParticipant"),
    ({"targetParticipant": {}}, "targetParticipant"),
    ({"transferee": {}}, "transferee"),
    ({"operationCallbackUri": "ftp://gw.example.com/"}, "operationCallbackUri"),
    ({"customCallingContext": {"voipHeaders": {"a": 5}}}, "customCallingContext.voipHeaders[...]"),
    (
        {"customCallingContext": {"voipHeaders": {"k" * 65: "v"}}},
        "customCallingContext.voipHeaders." + "k" * 64,
    ),
    ({"customCallingContext": {"voipHeaders": {"": "v"}}}, "customCallingContext.voipHeaders."),
    ({"customCallingContext": {"voipHeaders": {"a": "v" * 1025}}}, "customCallingContext.voipHeaders.a"),
    (
        {"customCallingContext": {"voipHeaders": {f"key-{n}": "" for n in range(1001)}}},
        "customCallingContext.voipHeaders",
    ),
    ({"customCallingContext": sip(Queue="a")}, "customCallingContext.sipHeaders.Queue"),
    ({"customCallingContext": sip(X_MS_Queue="a")}, "customCallingContext.sipHeaders.X-MS-Queue"),
    ({"customCallingContext": {"sipHeaders": {"X-Que ue": "a"}}}, "customCallingContext.sipHeaders.X-Que ue"),
    (
        {"customCallingContext": {"sipHeaders": {"X-MS-Custom-" + "k" * 53: "a"}}},
        "customCallingContext.sipHeaders.X-MS-Custom-" + "k" * 52,
    ),
    ({"customCallingContext": sip(X_Queue="a" * 257)}, "customCallingContext.sipHeaders.X-Queue"),
    ({"customCallingContext": sip(X_Queue="a b")}, "customCallingContext.sipHeaders.X-Queue"),
    ({"customCallingContext": sip(User_To_User="a" * 257)}, "customCallingContext.sipHeaders.User-To-User"),
    (
        {"customCallingContext": {"sipHeaders": {f"X-{n}": "" for n in range(6)}}},
        "customCallingContext.sipHeaders",
    ),
]


@pytest.mark.parametrize(("body", "target"), WRONG, ids=[str(n) for n in range(len(WRONG))])
async def test_invalid_transfer_is_refused_naming_what_is_wrong(
    acs_emulator, http, call, connection_id, body, target
):
    sent = {"targetParticipant": {"phoneNumber": {"value": "+14255550177"}}} | body
    path = f"/callConnections/{connection_id}:transferToParticipant"

    status, answer = await send(http, acs_emulator, "POST", path, json.dumps(sent).encode())

    assert (status, answer["error"]["code"], answer["error"]["target"]) == (400, "8523", target)
    assert not call.transfers


async def test_context_at_its_limits_is_taken(acs_emulator, http, connection_id, application, outside):
    outside(COLLEAGUE)
    sent = example("transfer_request") | {"operationCallbackUri": application.callback_url}
    sent["customCallingContext"] = {
        "voipHeaders": {f"{n:064}": "v" * 1024 for n in range(300)},
        "sipHeaders": {
            "USER-to-user": "6162;encoding=hex",
            "x-ms-custom-" + "k" * 52: "v" * 256,
            **{f"X-{n}.!%*_+~-": "a=b;c.!%*_+~-" for n in range(4)},
        },
    }
    path = f"/callConnections/{connection_id}:transferToParticipant"

    status, answer = await send(http, acs_emulator, "POST", path, json.dumps(sent).encode())

    assert (status, answer) == (202, {"operationContext": "xfer-1"})
    await application.event("CallTransferAccepted")


async def test_repeated_request_transfers_once(acs_emulator, http, call, connection_id, outside):
    outside(COLLEAGUE, after_ms=60_000)
    body = json.dumps({"targetParticipant": {"phoneNumber": {"value": "+14255550177"}}}).encode()
    path = f"/callConnections/{connection_id}:transferToParticipant"
    headers = {"Repeatability-Request-ID": "3f0b"}

    first = await send(http, acs_emulator, "POST", path, body, headers=headers)
    second = await send(http, acs_emulator, "POST", path, body, headers=headers)

    assert first == second == (202, {"operationContext": None})
    assert len(call.transfers) == 1


async def test_faults_strike_the_request(acs_emulator, client, call, connection_id, application, outside):
    outside(COLLEAGUE)
    acs_emulator.faults.add(FaultRule("transferToParticipant", Status(status=503), call=CALLER, times=1))

    with pytest.raises(HttpResponseError) as failed:
        await client.on_call(connection_id, "transfer_call_to_participant", COLLEAGUE)
    assert (failed.value.status_code, len(call.transfers)) == (503, 0)
    await client.on_call(connection_id, "transfer_call_to_participant", COLLEAGUE)

    await application.event("CallTransferAccepted")


async def test_answer_to_a_transfer_can_be_lost_although_it_is_done(
    acs_emulator, http, connection_id, application, outside
):
    outside(COLLEAGUE)
    acs_emulator.faults.add(FaultRule("transferToParticipant", Reset(when=When.AFTER), times=1))
    body = json.dumps({"targetParticipant": {"phoneNumber": {"value": "+14255550177"}}}).encode()

    with pytest.raises(aiohttp.ClientConnectionError):
        await send(
            http, acs_emulator, "POST", f"/callConnections/{connection_id}:transferToParticipant", body
        )

    await application.event("CallTransferAccepted")


async def test_outcome_may_never_be_told(
    acs_emulator, transfer, call, connection_id, application, outside, happened
):
    outside(COLLEAGUE, does=Manner.BUSY)
    acs_emulator.faults.add(FaultRule("callback.deliver:CallTransferFailed", Drop(), times=1))

    await transfer(connection_id, COLLEAGUE)

    await happened(call, "callback_failed")
    assert "CallTransferFailed" not in application.event_types()
