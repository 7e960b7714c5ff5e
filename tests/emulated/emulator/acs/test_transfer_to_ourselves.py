"""Callers who are sent on to a number or identity of the resource: they ring there as a new call."""

import asyncio

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier
from azure.core.exceptions import ResourceNotFoundError

from emulator.call import CallEnd, CallPhase
from emulator.media.line import Line
from emulator.outside import Manner
from tests.emulated.emulator.acs.test_media_streaming import streaming
from tests.support.acs_emulator import ACS_USER
from tests.support.shapes import assert_same_shape, example
from tests.support.voice import tone

NUMBER = PhoneNumberIdentifier("+18005550199")
IDENTITY = CommunicationUserIdentifier(ACS_USER)
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


@pytest.fixture
async def subscribed(acs_emulator, application, http):
    url = acs_emulator.base_url + "/eventgrid/subscriptions/gateway"
    async with http.put(url, json={"endpoint": application.events_url}) as response:
        assert response.status == 201
    return application


@pytest.fixture
def answer_again(call, application, aio_client):
    """Answer the call where it rings after a transfer; its events have a path of their own."""

    async def answer(**options):
        url = application.base_url + "/callbacks/second"
        return await aio_client("answer_call", call.incoming_call_context, url, **options)

    return answer


def events_of(application, connection_id) -> list[str]:
    """The events of one leg, sorted, since no order is promised."""
    return sorted(
        event["type"].rpartition(".")[2]
        for event in application.events()
        if event["data"]["callConnectionId"] == connection_id
    )


async def said_to_both(application, first, second):
    await application.until(lambda: "CallDisconnected" in events_of(application, first))
    await application.until(lambda: "ParticipantsUpdated" in events_of(application, second))


async def test_it_is_announced_as_a_call_of_the_caller_with_the_headers(
    subscribed, call, connection_id, transfer
):
    await transfer(
        connection_id,
        IDENTITY,
        voip_headers={"sessionRef": "abc"},
        sip_headers={"User-To-User": "616d;encoding=hex", "X-MS-Custom-Queue": "claims"},
    )

    await subscribed.until(lambda: len(subscribed.deliveries) == 2)
    first, second = (each.json[0]["data"] for each in subscribed.deliveries)
    assert_same_shape(
        second, example("incoming_call_phone_to_user") | {"customContext": second["customContext"]}
    )
    assert second["correlationId"] == first["correlationId"]
    assert second["incomingCallContext"] != first["incomingCallContext"]
    assert (second["to"]["rawId"], second["from"]) == (ACS_USER, first["from"])
    assert second["customContext"] == {
        "voipHeaders": {"sessionRef": "abc"},
        "sipHeaders": {"userToUser": "616d;encoding=hex", "X-MS-Custom-Queue": "claims"},
    }


async def test_without_headers_it_has_no_custom_context(subscribed, connection_id, transfer):
    await transfer(connection_id, IDENTITY)

    await subscribed.until(lambda: len(subscribed.deliveries) == 2)
    assert "customContext" not in subscribed.deliveries[1].json[0]["data"]


@pytest.mark.parametrize(("target", "answered_for"), [(NUMBER, "+18005550199"), (IDENTITY, None)])
async def test_answer_accepts_the_transfer_and_takes_the_call_over(
    aio_client, call, connection_id, application, transfer, answer_again, target, answered_for
):
    await transfer(connection_id, target, operation_context="xfer-1")

    second = await answer_again()

    assert second.call_connection_id != connection_id
    assert second.correlation_id == call.correlation_id
    assert [each.raw_id for each in second.targets] == [target.raw_id]
    assert (second.answered_for and second.answered_for.properties["value"]) == answered_for
    await said_to_both(application, connection_id, second.call_connection_id)
    first_events = ["CallConnected", "CallDisconnected", "CallTransferAccepted", "ParticipantsUpdated"]
    assert events_of(application, connection_id) == first_events
    assert events_of(application, second.call_connection_id) == ["CallConnected", "ParticipantsUpdated"]
    with pytest.raises(ResourceNotFoundError):
        await aio_client.on_call(connection_id, "get_call_properties")
    assert (call.phase, call.call_connection_id) == (CallPhase.CONNECTED, second.call_connection_id)


async def test_what_the_caller_says_and_presses_goes_to_the_new_leg(
    aio_client, call, application, transfer, answer_again
):
    first = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    [before] = await application.media_sockets()
    await transfer(first.call_connection_id, IDENTITY)
    assert before.closed_with is None

    await answer_again(media_streaming=streaming(application.media_url + "&leg=2"))

    _, after = await application.media_sockets(2)
    await application.until(lambda: before.closed_with is not None)
    call.line.say(tone(100, 16_000))
    call.line.press("7")
    await application.until(lambda: any(each["kind"] == "DtmfData" for each in after.messages))
    await application.until(
        lambda: any(
            each["kind"] == "AudioData" and not each["audioData"]["silent"] for each in after.messages
        )
    )
    assert after.query["leg"] == "2"
    assert not any(each["kind"] == "DtmfData" for each in before.messages)
    connection_ids = [each.headers["x-ms-call-connection-id"] for each in application.sockets]
    assert connection_ids == [first.call_connection_id, call.call_connection_id]


async def test_new_leg_hears_nothing_of_what_the_old_one_has_sent(
    aio_client, call, application, transfer, answer_again
):
    first = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    await application.media_sockets()
    call.line.play(tone(20_000, 24_000))
    await transfer(first.call_connection_id, IDENTITY)

    await answer_again()

    assert call.line.stopped_ms > 15_000


@pytest.mark.parametrize(
    ("target", "reason", "code", "sub_code"),
    [
        (NUMBER, "busy", 486, 560486),
        (NUMBER, "none", 603, 560603),
        (IDENTITY, "busy", 486, 8539),
        (IDENTITY, "forbidden", 603, 8538),
    ],
)
async def test_rejection_fails_the_transfer(
    aio_client, call, connection_id, application, transfer, target, reason, code, sub_code
):
    await transfer(connection_id, target)

    await aio_client("reject_call", call.incoming_call_context, call_reject_reason=reason)

    failed = (await application.event("CallTransferFailed"))["data"]["resultInformation"]
    assert (failed["code"], failed["subCode"]) == (code, sub_code)
    assert (call.phase, call.end, call.call_connection_id) == (CallPhase.CONNECTED, None, connection_id)


async def test_nobody_answers(start_emulator, make_client, application, happened):
    emulator = await start_emulator(ring_seconds=1.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER.raw_id, from_="+14255550100", line=Line(rate_hz=16_000))
    answered = await client.answer(call, application)
    await happened(call, "connected")

    await client.on_call(answered.call_connection_id, "transfer_call_to_participant", NUMBER)

    failed = (await application.event("CallTransferFailed"))["data"]["resultInformation"]
    assert (failed["code"], failed["subCode"]) == (480, 560480)
    with pytest.raises(ResourceNotFoundError):
        await client.answer(call, application)
    assert (call.phase, call.end) == (CallPhase.CONNECTED, None)


async def test_redirect_of_the_ringing_call_goes_on_ringing(
    aio_client, call, connection_id, application, transfer, answer_again
):
    await transfer(connection_id, NUMBER)
    await aio_client("redirect_call", call.incoming_call_context, IDENTITY)

    second = await answer_again()

    assert [each.raw_id for each in second.targets] == [ACS_USER]
    assert second.answered_for.properties["value"] == "+18005550199"
    accepted = (await application.event("CallTransferAccepted"))["data"]
    assert accepted["transferTarget"]["rawId"] == NUMBER.raw_id


@pytest.mark.parametrize(
    ("does", "event"), [(Manner.ANSWERS, "CallTransferAccepted"), (Manner.BUSY, "CallTransferFailed")]
)
async def test_redirect_of_the_ringing_call_to_the_outside_rings_there(
    aio_client, call, connection_id, application, transfer, outside, does, event
):
    outside(COLLEAGUE, does=does)
    await transfer(connection_id, NUMBER)

    await aio_client("redirect_call", call.incoming_call_context, COLLEAGUE)

    await application.event(event)


async def test_caller_who_hangs_up_is_not_answered(
    acs_emulator, call, connection_id, application, transfer, answer_again
):
    await transfer(connection_id, NUMBER)

    await acs_emulator.calls.caller_hangs_up(call)

    with pytest.raises(ResourceNotFoundError):
        await answer_again()
    await application.event("CallTransferFailed")
    await application.event("CallDisconnected")


@pytest.mark.parametrize("first", ["answer", "hang-up"])
async def test_caller_hangs_up_in_the_moment_of_the_answer(
    acs_emulator, call, connection_id, application, transfer, answer_again, first
):
    await transfer(connection_id, NUMBER)
    hanging_up = acs_emulator.calls.caller_hangs_up(call)
    actions = [answer_again(), hanging_up] if first == "answer" else [hanging_up, answer_again()]

    answered, _ = sorted(
        await asyncio.gather(*actions, return_exceptions=True), key=lambda result: result is None
    )

    await application.event("CallDisconnected")
    assert call.end is CallEnd.CALLER_HUNG_UP
    was_accepted = not isinstance(answered, ResourceNotFoundError)
    told = "CallTransferAccepted" if was_accepted else "CallTransferFailed"
    await application.event(told)
    assert [each for each in application.event_types() if each.startswith("CallTransfer")] == [told]


async def test_caller_hangs_up_while_the_new_leg_connects(start_emulator, make_client, application, happened):
    emulator = await start_emulator(connect_seconds=1.0)
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER.raw_id, from_="+14255550100", line=Line(rate_hz=16_000))
    first = await client.answer(call, application)
    await happened(call, "connected")
    await client.on_call(first.call_connection_id, "transfer_call_to_participant", NUMBER)

    second = await client.answer(call, application)
    await emulator.calls.caller_hangs_up(call)

    await application.event("CallDisconnected")
    await application.until(lambda: events_of(application, second.call_connection_id))
    assert events_of(application, second.call_connection_id) == ["AnswerFailed"]


async def test_new_leg_may_transfer_again(call, connection_id, application, transfer, answer_again, outside):
    outside(COLLEAGUE)
    await transfer(connection_id, NUMBER)
    second = await answer_again()
    await said_to_both(application, connection_id, second.call_connection_id)

    await transfer(second.call_connection_id, COLLEAGUE)

    await application.until(
        lambda: "CallTransferAccepted" in events_of(application, second.call_connection_id)
    )
    assert [str(each.outcome) for each in call.transfers] == ["accepted", "accepted"]
    assert call.phase is CallPhase.TRANSFERRED
