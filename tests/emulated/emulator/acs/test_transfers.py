"""Callers who are sent on to somebody outside, and what the application is told of it."""

import pytest
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.core.exceptions import ResourceNotFoundError

from emulator.call import CallEnd, CallPhase
from emulator.media.line import Line
from emulator.outside import Manner, OutsideParty
from emulator.settings import EmulatorSettings
from emulator.transfers import TransferOutcome
from tests.emulated.emulator.acs.test_media_streaming import streaming
from tests.support.shapes import assert_same_shape, example
from tests.support.voice import tone

NUMBER, CALLER = "+18005550199", "+14255550100"
COLLEAGUE = PhoneNumberIdentifier("+14255550177")
STRANGER = CommunicationUserIdentifier(
    "8:acs:22222222-2222-2222-2222-222222222222_00000014-0000-0000-0000-00000000000b"
)
TEAMS_USER = MicrosoftTeamsUserIdentifier("5f2b1c3e-0000-4000-8000-000000000001")
APPLICATION = EmulatorSettings().application_id
EXTRA = frozenset({"version", "publicEventType"})


def decide_now(call) -> None:
    """Let the other side do at once what it does after a while."""
    call.transfer.timer._run()


async def test_accepted_transfer_ends_the_applications_part_and_not_the_call(
    client, call, connection_id, application, outside
):
    outside(COLLEAGUE)

    result = await client.on_call(
        connection_id, "transfer_call_to_participant", COLLEAGUE, operation_context="xfer-1"
    )

    assert result.operation_context == "xfer-1"
    accepted = (await application.event("CallTransferAccepted"))["data"]
    assert_same_shape(accepted, example("callback_data_call_transfer_accepted")["data"], extra=EXTRA)
    assert accepted["transferTarget"]["rawId"] == "4:+14255550177"
    assert accepted["transferee"]["rawId"] == "4:+14255550100"
    assert accepted["operationContext"] == "xfer-1"
    disconnected = (await application.event("CallDisconnected"))["data"]
    assert disconnected["operationContext"] == "answer-7f3c"
    published = example("callback_data_call_disconnected")["data"]
    assert disconnected["resultInformation"] == published["resultInformation"]
    with pytest.raises(ResourceNotFoundError):
        await client.on_call(connection_id, "get_call_properties")
    assert (call.phase, call.end, call.to.id) == (CallPhase.TRANSFERRED, None, "4:+14255550177")


async def test_caller_stays_with_the_other_side_until_they_hang_up(
    acs_emulator, call, connection_id, application, outside, transfer
):
    outside(COLLEAGUE)
    await transfer(connection_id, COLLEAGUE)
    await application.event("CallDisconnected")
    events = application.event_types()

    await acs_emulator.calls.caller_hangs_up(call)

    assert call.end is CallEnd.CALLER_HUNG_UP
    assert application.event_types() == events


FAILURES = [
    (COLLEAGUE, Manner.BUSY, 486, 560486),
    (COLLEAGUE, Manner.DECLINES, 603, 560603),
    (COLLEAGUE, Manner.RINGS, 480, 560480),
    (STRANGER, Manner.BUSY, 486, 8539),
    (STRANGER, Manner.DECLINES, 603, 8538),
    (STRANGER, Manner.RINGS, 480, 8541),
    (TEAMS_USER, Manner.DECLINES, 603, 8538),
]


@pytest.mark.parametrize(("target", "does", "code", "sub_code"), FAILURES)
async def test_failed_transfer_leaves_the_call_as_it_was(
    aio_client, call, connection_id, application, outside, target, does, code, sub_code, transfer
):
    outside(target, does=does)

    await transfer(connection_id, target, operation_context="xfer-1")

    failed = (await application.event("CallTransferFailed"))["data"]
    assert_same_shape(failed, example("callback_data_call_transfer_failed")["data"], extra=EXTRA)
    assert (failed["resultInformation"]["code"], failed["resultInformation"]["subCode"]) == (code, sub_code)
    properties = await aio_client.on_call(connection_id, "get_call_properties")
    assert properties.call_connection_state == "connected"
    assert (call.phase, call.to.id) == (CallPhase.CONNECTED, "4:+18005550199")
    assert "CallDisconnected" not in application.event_types()


async def test_who_is_not_named_answers_after_a_moment(call, connection_id, application, transfer):
    await transfer(connection_id, TEAMS_USER)

    await application.event("CallTransferAccepted")
    [kept] = call.transfers
    assert 0.1 <= kept.settled_at - kept.asked_at < 2


async def test_who_only_rings_is_given_up_when_any_call_is(
    start_emulator, make_client, application, happened
):
    emulator = await start_emulator(
        ring_seconds=1.0, outside_parties={"+14255550177": OutsideParty(does=Manner.RINGS)}
    )
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000))
    answered = await client.answer(call, application)
    await happened(call, "connected")

    await client.on_call(answered.call_connection_id, "transfer_call_to_participant", COLLEAGUE)

    await application.event("CallTransferFailed")
    assert [each.outcome for each in call.transfers] == [TransferOutcome.NOT_ANSWERED]


async def test_while_the_target_rings_the_call_says_so(aio_client, connection_id, outside, transfer):
    outside(COLLEAGUE, after_ms=60_000)

    await transfer(connection_id, COLLEAGUE)

    properties = await aio_client.on_call(connection_id, "get_call_properties")
    assert properties.call_connection_state == "transferring"
    assert [target.raw_id for target in properties.targets] == ["4:+18005550199"]


async def test_media_stays_up_until_the_transfer_is_accepted(
    aio_client, call, application, outside, transfer
):
    outside(COLLEAGUE, after_ms=60_000)
    answered = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    [socket] = await application.media_sockets()
    await transfer(answered.call_connection_id, COLLEAGUE)
    frames = len(socket.messages)
    await application.until(lambda: len(socket.messages) > frames + 5)
    assert (socket.closed_with, "MediaStreamingStopped" in application.event_types()) == (None, False)

    decide_now(call)

    await application.event("MediaStreamingStopped")
    await application.until(lambda: socket.closed_with == 1000)
    assert {"CallTransferAccepted", "CallDisconnected"} <= set(application.event_types())


async def test_media_stays_up_when_the_transfer_fails(aio_client, call, application, outside, transfer):
    outside(COLLEAGUE, does=Manner.BUSY)
    answered = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    [socket] = await application.media_sockets()

    await transfer(answered.call_connection_id, COLLEAGUE)

    await application.event("CallTransferFailed")
    frames = len(socket.messages)
    await application.until(lambda: len(socket.messages) > frames + 5)
    assert application.sockets == [socket]


async def test_what_was_sent_ahead_of_the_transfer_is_not_heard_after_it(
    aio_client, call, application, outside, transfer
):
    outside(COLLEAGUE)
    answered = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    await application.media_sockets()
    call.line.play(tone(20_000, 24_000))

    await transfer(answered.call_connection_id, COLLEAGUE)

    await application.event("CallTransferAccepted")
    assert call.line.stopped_ms > 15_000
    assert call.line.played_ms < 5_000


@pytest.mark.parametrize("who", ["caller", "application"])
async def test_end_of_the_call_ends_the_transfer(
    acs_emulator, aio_client, call, connection_id, application, outside, who, transfer
):
    outside(COLLEAGUE, after_ms=60_000)
    await transfer(connection_id, COLLEAGUE, operation_context="xfer-1")

    if who == "caller":
        await acs_emulator.calls.caller_hangs_up(call)
    else:
        await aio_client.on_call(connection_id, "hang_up", is_for_everyone=True)

    failed = (await application.event("CallTransferFailed"))["data"]
    assert (failed["operationContext"], failed["resultInformation"]["subCode"]) == ("xfer-1", 8528)
    await application.event("CallDisconnected")
    assert [each.outcome for each in call.transfers] == [TransferOutcome.CALL_ENDED]


@pytest.mark.parametrize("first", ["caller", "target"])
async def test_hang_up_and_acceptance_at_the_same_moment_have_one_outcome(
    acs_emulator, call, connection_id, application, outside, first, transfer
):
    outside(COLLEAGUE, after_ms=60_000)
    await transfer(connection_id, COLLEAGUE)

    if first == "target":
        decide_now(call)
    await acs_emulator.calls.caller_hangs_up(call)

    await application.event("CallDisconnected")
    expected = "CallTransferAccepted" if first == "target" else "CallTransferFailed"
    await application.event(expected)
    ends = [each for each in application.event_types() if each in ("CallDisconnected", expected)]
    assert sorted(ends) == sorted(["CallDisconnected", expected])
    assert call.end is CallEnd.CALLER_HUNG_UP
    assert len([each for each in application.event_types() if each.startswith("CallTransfer")]) == 1


async def test_second_transfer_fails_and_the_first_goes_on(
    call, connection_id, application, outside, transfer
):
    outside(COLLEAGUE, after_ms=60_000)
    await transfer(connection_id, COLLEAGUE, operation_context="first")

    await transfer(connection_id, STRANGER, operation_context="second")

    failed = (await application.event("CallTransferFailed"))["data"]
    assert (failed["operationContext"], failed["resultInformation"]["subCode"]) == ("second", 8607)
    assert [each.outcome for each in call.transfers] == [None, TransferOutcome.CONFLICT]
    assert call.transfer is call.transfers[0]


async def test_after_a_failure_the_next_transfer_can_succeed(
    call, connection_id, application, outside, transfer
):
    outside(COLLEAGUE, does=Manner.BUSY)
    outside(STRANGER)
    await transfer(connection_id, COLLEAGUE)
    await application.event("CallTransferFailed")

    await transfer(connection_id, STRANGER)

    await application.event("CallTransferAccepted")
    assert [str(each.outcome) for each in call.transfers] == ["busy", "accepted"]


async def test_target_sees_a_number_of_the_resource_only(connection_id, application, outside, transfer):
    outside(COLLEAGUE)
    await transfer(connection_id, COLLEAGUE, source_caller_id_number=PhoneNumberIdentifier("+14255550100"))
    failed = (await application.event("CallTransferFailed"))["data"]["resultInformation"]
    assert (failed["code"], failed["subCode"]) == (403, 510403)

    await transfer(connection_id, COLLEAGUE, source_caller_id_number=PhoneNumberIdentifier(NUMBER))

    await application.event("CallTransferAccepted")


async def test_operation_may_have_a_callback_uri_of_its_own(connection_id, application, outside, transfer):
    outside(COLLEAGUE)

    await transfer(connection_id, COLLEAGUE, operation_callback_url=application.base_url + "/callbacks/own")

    await application.event("CallTransferAccepted")
    await application.event("CallDisconnected")
    paths = {
        event["type"].rpartition(".")[2]: each.method for each in application.callbacks for event in each.json
    }
    assert paths["CallTransferAccepted"] == "/callbacks/own"
    assert paths["CallDisconnected"].startswith("/callbacks/main")


async def test_tones_that_are_under_way_fail_with_the_transfer(
    aio_client, call, connection_id, application, outside, happened, transfer
):
    outside(COLLEAGUE)
    caller = PhoneNumberIdentifier(CALLER)
    await aio_client.on_call(connection_id, "send_dtmf_tones", ["one"] * 18, caller)
    await happened(call, "dtmf_received")

    await transfer(connection_id, COLLEAGUE)

    await application.event("SendDtmfTonesFailed")


async def test_who_is_in_the_call_can_be_asked(client, connection_id):
    participants = await client.on_call(connection_id, "list_participants")

    assert {each.identifier.raw_id for each in participants} == {"4:+14255550100", APPLICATION}
    caller = await client.on_call(connection_id, "get_participant", PhoneNumberIdentifier(CALLER))
    assert (caller.identifier.raw_id, caller.is_muted, caller.is_on_hold) == ("4:+14255550100", False, False)
    with pytest.raises(ResourceNotFoundError) as nobody:
        await client.on_call(connection_id, "get_participant", COLLEAGUE)
    assert nobody.value.error.code == "8522"


async def test_transfers_can_be_looked_at(acs_emulator, call, connection_id, outside, http, transfer):
    outside(COLLEAGUE, after_ms=60_000)
    await transfer(
        connection_id,
        COLLEAGUE,
        operation_context="xfer-1",
        source_caller_id_number=PhoneNumberIdentifier(NUMBER),
        voip_headers={"sessionRef": "abc"},
    )
    await transfer(connection_id, TEAMS_USER)

    async with http.get(f"{acs_emulator.base_url}/emulator/calls/{call.correlation_id}") as response:
        details = await response.json()

    first, second = details["transfers"]
    assert first.pop("askedAt") > 0
    assert first == {
        "target": "4:+14255550177",
        "sourceCallerIdNumber": NUMBER,
        "customContext": {"voipHeaders": {"sessionRef": "abc"}, "sipHeaders": {}},
        "operationContext": "xfer-1",
        "settledAt": None,
        "outcome": None,
    }
    assert (second["target"], second["outcome"]) == (TEAMS_USER.raw_id, "conflict")
    assert second["settledAt"] >= second["askedAt"]
