"""Transfers, new starts of media and what ACS plays, through the real SDK on the emulator."""

import pytest

from emulator.faults import Reset, Status, When
from emulator.plays import PlayOutcome
from emulator.wire.play import TextSource
from shared.core.recognition import TextPrompt
from shared.core.transfers import TransferContext, context_for
from shared.errors import AcsRefused, AcsUnavailable, CallGone
from tests.support.call_control import answered, happened
from tests.support.gateway import CALLER, NUMBER
from tests.support.playing import BEEP
from tests.support.voice import sounds

COLLEAGUE = "4:+14255550177"
USER = "8:acs:22222222-2222-2222-2222-222222222222_00000014-0000-0000-0000-00000000000b"
NOWHERE = "127.0.0.1:9"
NOTHING = TransferContext()


async def test_phone_is_sent_on_to_with_a_caller_id_and_sip_headers(acs, call):
    context = context_for(COLLEAGUE, {"sessionRef": "abc", "X-MS-Custom-Queue": "claims"})

    await acs.transfer(
        call.call_connection_id,
        target=COLLEAGUE,
        caller_id=NUMBER,
        context=context,
        operation_context="transfer-1",
    )

    [transfer] = call.transfers
    assert (transfer.target.id, transfer.caller_id.value) == (COLLEAGUE, NUMBER)
    assert transfer.operation_context == "transfer-1"
    assert (transfer.custom_context.sip_headers, transfer.custom_context.voip_headers) == (
        {"X-MS-Custom-Queue": "claims"},
        {},
    )


async def test_user_gets_the_variables_and_no_caller_id(acs, call):
    variables = {"sessionRef": "abc", "note": "two\nlines"}

    await acs.transfer(
        call.call_connection_id,
        target=USER,
        caller_id=NUMBER,
        context=context_for(USER, variables),
        operation_context="transfer-1",
    )

    [transfer] = call.transfers
    assert (transfer.target.id, transfer.caller_id) == (USER, None)
    assert transfer.custom_context.voip_headers == variables


async def test_nothing_goes_along_unless_asked(acs, call):
    await acs.transfer(
        call.call_connection_id, target=COLLEAGUE, context=NOTHING, operation_context="transfer-1"
    )

    [transfer] = call.transfers
    assert (transfer.custom_context, transfer.caller_id) == (None, None)


async def test_who_is_transferred_can_be_named(acs, call):
    async def transfer(transferee):
        await acs.transfer(
            call.call_connection_id,
            target=COLLEAGUE,
            transferee=transferee,
            context=NOTHING,
            operation_context="transfer-1",
        )

    await transfer(f"4:{CALLER}")
    assert len(call.transfers) == 1
    with pytest.raises(CallGone):
        await transfer("4:+14255550188")


async def test_request_that_is_repeated_is_one_transfer(emulator, acs, call):
    emulator.faults.fail_next("transferToParticipant", Status(status=503, when=When.AFTER))

    await acs.transfer(
        call.call_connection_id, target=COLLEAGUE, context=NOTHING, operation_context="transfer-1"
    )

    assert len(emulator.requests("transferToParticipant")) == 2
    assert len(call.transfers) == 1


async def test_call_that_is_over_can_neither_be_transferred_nor_stream(emulator, acs, call):
    await emulator.calls.caller_hangs_up(call)

    with pytest.raises(CallGone):
        await acs.transfer(
            call.call_connection_id, target=COLLEAGUE, context=NOTHING, operation_context="transfer-1"
        )
    with pytest.raises(CallGone):
        await acs.start_media(call.call_connection_id, operation_context="media-1")


async def test_media_that_failed_are_tried_again_at_the_same_url(acs, call):
    await acs.start_media(call.call_connection_id, operation_context="media-1")

    await happened(call, "media_failed", 2)


async def test_media_that_are_not_streaming_cannot_be_stopped(acs, call):
    await happened(call, "media_failed")
    with pytest.raises(AcsRefused):
        await acs.stop_media(call.call_connection_id)


@pytest.mark.parametrize("code", ["8585", "8500"])
async def test_call_that_is_in_another_state_is_not_taken_for_gone(emulator, acs, call, code):
    emulator.faults.fail_next("startMediaStreaming", Status(status=400, code=code))
    emulator.faults.fail_next("transferToParticipant", Status(status=400, code=code))

    with pytest.raises(AcsRefused):
        await acs.start_media(call.call_connection_id, operation_context="media-1")
    with pytest.raises(AcsRefused):
        await acs.transfer(
            call.call_connection_id, target=COLLEAGUE, context=NOTHING, operation_context="transfer-1"
        )


async def test_call_that_was_answered_without_media_is_refused(emulator, acs, call):
    emulator.faults.fail_next("startMediaStreaming", Status(status=405, code="8522"))

    with pytest.raises(AcsRefused):
        await acs.start_media(call.call_connection_id, operation_context="media-1")


@pytest.mark.parametrize("fault", [Status(status=503), Status(status=429, code="8516"), Reset()])
async def test_acs_that_is_away_is_unavailable(emulator, acs, call, fault):
    emulator.faults.fail_next("transferToParticipant", fault, times=2)
    emulator.faults.fail_next("startMediaStreaming", fault, times=2)

    with pytest.raises(AcsUnavailable):
        await acs.transfer(
            call.call_connection_id, target=COLLEAGUE, context=NOTHING, operation_context="transfer-1"
        )
    with pytest.raises(AcsUnavailable):
        await acs.start_media(call.call_connection_id, operation_context="media-1")

    assert not call.transfers


async def test_file_is_heard_without_a_media_stream(acs, call, ear, files):
    url = files.url("beep.wav")
    await acs.play_file(call.call_connection_id, url=url, operation_context="apology")

    await happened(call, "play_completed")
    [play] = call.plays
    assert (play.sources[0].file.uri, play.operation_context, play.loop) == (url, "apology", False)
    assert sounds(ear.heard) == BEEP


async def test_words_are_spoken_by_the_voice_that_is_asked_for(acs, call):
    words = TextPrompt("Sorry.", "en-US-AvaMultilingualNeural", locale="en-GB")
    await acs.play(call.call_connection_id, prompts=[words], operation_context="apology")

    await happened(call, "play_completed")
    [play] = call.plays
    wanted = TextSource("Sorry.", source_locale="en-GB", voice_name="en-US-AvaMultilingualNeural")
    assert (play.sources[0].text, play.operation_context) == (wanted, "apology")


async def test_words_are_refused_where_no_azure_ai_speaks_them(emulator, acs, ear):
    call = await answered(emulator, acs, ear, azure_ai=None)
    words = TextPrompt("Sorry.", "en-US-JennyNeural")

    with pytest.raises(AcsRefused):
        await acs.play(call.call_connection_id, prompts=[words], operation_context="apology")


async def test_file_whose_reply_is_lost_is_heard_once(emulator, acs, call, ear, files):
    emulator.faults.fail_next("play", Status(status=503, when=When.AFTER))

    await acs.play_file(call.call_connection_id, url=files.url("beep.wav"), operation_context="apology")

    await happened(call, "play_completed")
    assert [play.outcome for play in call.plays] == [PlayOutcome.CANCELED, PlayOutcome.COMPLETED]
    assert sounds(ear.heard).endswith(BEEP)


async def play_beep(acs, call):
    await acs.play_file(
        call.call_connection_id, url="https://gw.example.com/a.wav", operation_context="apology"
    )


async def test_nothing_is_played_to_a_call_that_is_over(emulator, acs, call):
    await emulator.calls.caller_hangs_up(call)

    with pytest.raises(CallGone):
        await play_beep(acs, call)


@pytest.mark.parametrize(
    "fault",
    [Status(status=400, code="8585"), Status(status=405, code="8520"), Status(status=403, code="7606")],
)
async def test_playing_that_acs_refuses_is_told_from_a_call_that_is_over(emulator, acs, call, fault):
    emulator.faults.fail_next("play", fault)

    with pytest.raises(AcsRefused):
        await play_beep(acs, call)


@pytest.mark.parametrize(
    "fault",
    [Status(status=503), Status(status=403, code="7504"), Status(status=412, code="8583"), Reset()],
)
async def test_acs_that_does_not_play_may_have_been_away(emulator, acs, call, fault):
    emulator.faults.fail_next("play", fault, times=2)

    with pytest.raises(AcsUnavailable):
        await play_beep(acs, call)

    assert not call.plays
