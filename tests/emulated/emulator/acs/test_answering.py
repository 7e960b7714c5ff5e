"""Answering, rejecting, redirecting and ending calls."""

import asyncio
import json

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.call import CallEnd, CallPhase
from emulator.media.line import Line
from tests.support.acs_emulator import ACS_USER
from tests.support.acs_signing import send
from tests.support.shapes import assert_same_shape, example


async def test_answered_call_connects(client, place_call, application, happened):
    call = await place_call()

    answered = await client.answer(call, application, operation_context="answer-7f3c")

    assert answered.call_connection_state == "connecting"
    assert answered.correlation_id == call.correlation_id
    assert answered.source.raw_id == "4:+14255550100"
    assert [target.raw_id for target in answered.targets] == ["4:+18005550199"]
    assert answered.callback_url == application.callback_url
    await happened(call, "connected")
    properties = await client.on_call(answered.call_connection_id, "get_call_properties")
    assert properties.call_connection_state == "connected"
    assert properties.call_connection_id == answered.call_connection_id


async def test_answer_has_the_published_shape(acs_emulator, http, place_call, application):
    call = await place_call()
    request = example("answer_request") | {
        "incomingCallContext": call.incoming_call_context,
        "callbackUri": application.callback_url,
    }
    request["mediaStreamingOptions"]["transportUrl"] = application.media_url
    published = example("call_connection_properties")
    published["transcriptionSubscription"] = {
        "id": "",
        "state": "",
        "subscribedResultTypes": [""],
        "locale": "",
    }

    status, sent = await send(
        http, acs_emulator, "POST", "/callConnections:answer", json.dumps(request).encode()
    )

    assert status == 200
    assert_same_shape(sent, published)
    assert sent["mediaStreamingSubscription"]["state"] == "inactive"
    assert sent["answeredFor"] == {"value": "+18005550199"}
    await application.media_sockets()


async def test_call_to_an_identity_is_answered_by_that_identity(aio_client, place_call, application):
    call = await place_call(to=ACS_USER)

    answered = await aio_client.answer(call, application)

    assert answered.answered_by.raw_id == ACS_USER
    assert answered.answered_for is None


async def test_number_that_was_dialled_stays_the_one_answered_for(aio_client, place_call, application):
    call = await place_call()
    await aio_client("redirect_call", call.incoming_call_context, CommunicationUserIdentifier(ACS_USER))

    answered = await aio_client.answer(call, application)

    assert [target.raw_id for target in answered.targets] == [ACS_USER]
    assert answered.answered_for.properties["value"] == "+18005550199"


async def test_call_to_an_identity_that_comes_to_a_number_is_answered_for_no_number(
    aio_client, place_call, application
):
    call = await place_call(to=ACS_USER)
    await aio_client("redirect_call", call.incoming_call_context, PhoneNumberIdentifier("+18005550199"))

    answered = await aio_client.answer(call, application)

    assert [target.raw_id for target in answered.targets] == ["4:+18005550199"]
    assert answered.answered_for is None


async def test_rejected_call_ends(client, place_call):
    call = await place_call()

    await client("reject_call", call.incoming_call_context, call_reject_reason="busy")

    assert call.end is CallEnd.REJECTED
    assert call.happenings[-2].detail == {"reason": "busy"}


async def test_redirect_to_an_identity_of_the_resource_rings_there(client, place_call, application):
    call = await place_call()
    first_context = call.incoming_call_context

    await client("redirect_call", first_context, CommunicationUserIdentifier(ACS_USER))

    assert call.phase is CallPhase.RINGING
    assert call.to.id == ACS_USER
    with pytest.raises(ResourceNotFoundError):
        await client("reject_call", first_context)
    answered = await client.answer(call, application)
    assert answered.correlation_id == call.correlation_id


async def test_redirect_elsewhere_ends_the_call_here(client, place_call):
    call = await place_call()

    await client("redirect_call", call.incoming_call_context, PhoneNumberIdentifier("+14255550177"))

    assert call.end is CallEnd.REDIRECTED


async def test_voip_call_cannot_be_redirected_to_a_phone_number(client, place_call):
    call = await place_call(
        from_="8:acs:22222222-2222-2222-2222-222222222222_00000014-0000-0000-0000-00000000000a"
    )

    with pytest.raises(HttpResponseError) as refused:
        await client("redirect_call", call.incoming_call_context, PhoneNumberIdentifier("+14255550177"))

    assert (refused.value.status_code, refused.value.error.code) == (405, "8520")
    assert call.phase is CallPhase.RINGING


@pytest.mark.parametrize("for_everyone", [False, True])
async def test_hanging_up_ends_the_call(client, place_call, application, happened, for_everyone):
    call = await place_call()
    answered = await client.answer(call, application, operation_context="answer-7f3c")
    await happened(call, "connected")

    await client.on_call(answered.call_connection_id, "hang_up", is_for_everyone=for_everyone)

    assert call.end is CallEnd.GATEWAY_HUNG_UP
    disconnected = await application.event("CallDisconnected")
    published = example("callback_data_call_disconnected")["data"]
    assert disconnected["data"]["resultInformation"] == published["resultInformation"]
    with pytest.raises(ResourceNotFoundError) as gone:
        await client.on_call(answered.call_connection_id, "get_call_properties")
    assert gone.value.error.code == "8522"


async def test_caller_on_the_phone_hangs_up(acs_emulator, aio_client, place_call, application, happened):
    call = await place_call()
    await aio_client.answer(call, application)
    await happened(call, "connected")

    await acs_emulator.calls.caller_hangs_up(call)

    assert call.end is CallEnd.CALLER_HUNG_UP
    result = (await application.event("CallDisconnected"))["data"]["resultInformation"]
    assert (result["code"], result["subCode"]) == (200, 540000)


async def test_caller_gives_up_while_the_answer_connects(start_emulator, make_client, application):
    emulator = await start_emulator(connect_seconds=60.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    answered = await client.answer(call, application, operation_context="answer-7f3c")
    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "start_media_streaming")
    assert (refused.value.status_code, refused.value.error.code) == (400, "8501")

    await emulator.calls.caller_hangs_up(call)

    failed = await application.event("AnswerFailed")
    published = example("callback_data_answer_failed")["data"]
    assert failed["data"]["resultInformation"] == published["resultInformation"]
    assert application.event_types() == ["AnswerFailed"]


async def test_service_fails_while_the_answer_connects(start_emulator, make_client, application):
    emulator = await start_emulator(connect_seconds=60.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    await client.answer(call, application)

    await emulator.calls.close()

    result = (await application.event("AnswerFailed"))["data"]["resultInformation"]
    assert (result["code"], result["subCode"]) == (500, 9999)
    assert application.event_types() == ["AnswerFailed"]


async def test_call_that_nobody_answers_ends(start_emulator, make_client, application):
    emulator = await start_emulator(ring_seconds=0.02)
    client = await make_client(emulator)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))

    async with asyncio.timeout(5):
        await call.ended.wait()

    assert call.end is CallEnd.NOT_ANSWERED
    with pytest.raises(ResourceNotFoundError) as gone:
        await client.answer(call, application)
    assert gone.value.error.code == "8522"


@pytest.mark.parametrize("action", ["answered", "rejected", "abandoned"])
async def test_context_works_once(acs_emulator, aio_client, place_call, application, action):
    call = await place_call()
    if action == "answered":
        await aio_client.answer(call, application)
    elif action == "rejected":
        await aio_client("reject_call", call.incoming_call_context)
    else:
        await acs_emulator.calls.caller_hangs_up(call)

    with pytest.raises(ResourceNotFoundError) as gone:
        await aio_client.answer(call, application)

    assert gone.value.error.code == "8522"


async def test_error_has_the_published_shape(acs_emulator, http):
    status, sent = await send(
        http, acs_emulator, "GET", "/callConnections/401f3500-62bd-46a9-8c09-9e1b06caca01"
    )

    assert status == 404
    assert sent == example("error")
