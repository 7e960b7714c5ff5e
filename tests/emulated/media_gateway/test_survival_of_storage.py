"""What a call writes and is told: soon where all is well, late and whole where storage is away or a signal is lost."""

import asyncio
from dataclasses import replace

import pytest

from media_gateway.agents.contract import AgentFailed
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.signals import CallTaken, EventsStored
from tests.support.media import QUICK, MemoryOutside, running_gateway
from tests.support.media_survival import events, spoken, talking

RARE = replace(QUICK, events_step_s=60, events_idle_step_s=60)
"""The store is read at the beginning, and when there is reason to."""


async def test_signal_brings_what_acs_has_told_at_once(agents):
    async with running_gateway(timing=RARE) as gateway:
        call = await talking(gateway)
        gateway.calls.add_event(call.call_id, "CallDisconnected")
        await asyncio.sleep(0.05)
        assert gateway.row(call).state is CallState.STREAMING
        gateway.core.calls.on_signal(EventsStored(call.call_id))
        await gateway.until_over(seconds=1)

        gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_connection_to_web_pubsub_that_is_back_has_every_call_look(agents):
    async with running_gateway(timing=RARE) as gateway:
        calls = [await talking(gateway) for _ in range(3)]
        for call in calls:
            gateway.calls.add_event(call.call_id, "CallDisconnected")
        gateway.core.calls.look()
        await gateway.until_over(seconds=1)


@pytest.mark.parametrize("signal", [EventsStored("0" * 8), CallTaken("0" * 8, 2)])
async def test_signal_of_a_call_that_is_not_here_is_no_matter(gateway, agents, signal):
    call = await talking(gateway)
    gateway.core.calls.on_signal(signal)

    assert gateway.row(call).state is CallState.STREAMING


async def test_one_callback_read_many_times_is_taken_once(gateway, agents):
    told = []
    call = await talking(gateway)
    agents.latest.transfer_failed = told.append
    agents.latest.sink.transfer("4:+14255550177")
    await gateway.until(lambda: gateway.acs.transfers)
    [(_, asked)] = gateway.acs.transfers
    gateway.calls.add_event(call.call_id, "CallTransferFailed", operationContext=asked["operation_context"])
    for _ in range(5):
        gateway.core.calls.look()
        await asyncio.sleep(0.01)

    assert told == ["failed"]


async def test_forged_word_that_the_call_was_taken_changes_nothing(gateway, agents):
    call = await talking(gateway)
    before, written = gateway.row(call), len(gateway.calls.written)
    gateway.core.calls.on_signal(CallTaken(call.call_id, 99))
    await asyncio.sleep(0.05)

    assert gateway.row(call) is before
    assert len(gateway.calls.written) == written
    call.socket.send_audio(spoken(1))
    await gateway.until(lambda: bytes(agents.latest.audio) == spoken(1))


async def test_true_word_that_the_call_was_taken_lets_go_at_once(gateway, agents):
    call = await talking(gateway)
    taken = gateway.calls.rows[call.call_id] = replace(gateway.row(call), owner="pod-b", epoch=2)
    loop = asyncio.get_running_loop()
    told_at = loop.time()
    gateway.core.calls.on_signal(CallTaken(call.call_id, 2))
    await gateway.until(lambda: agents.latest.closed_for)
    assert loop.time() - told_at < 0.25
    await gateway.until_over()

    assert gateway.row(call) is taken
    assert not gateway.acs.hung_up
    assert call.socket.close_reason == "ownership_lost"


async def test_true_word_is_believed_before_the_format_was_told_too(gateway):
    call = gateway.answer()
    call.socket = await gateway.open_socket(call)
    await gateway.until(lambda: gateway.row(call).media_jti_used)
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), owner="pod-b", epoch=2)
    await gateway.until(lambda: call.call_id in gateway.core.calls.held_ids)
    gateway.core.calls.on_signal(CallTaken(call.call_id, 2))
    await gateway.until_over(seconds=2)

    assert not gateway.acs.hung_up


async def test_output_variables_are_stored_soon_after_they_are_set(gateway, agents):
    call = await talking(gateway)
    agents.latest.sink.set_variables({"order": "5678"})
    await gateway.until(lambda: gateway.row(call).output == {"order": "5678"}, seconds=0.5)
    agents.latest.sink.set_variables({"verified": "yes"})
    await gateway.until(lambda: gateway.row(call).output == {"order": "5678", "verified": "yes"}, seconds=0.5)


@pytest.mark.parametrize("loses_replies", [False, True])
async def test_nothing_of_the_row_is_lost_while_storage_is_away(agents, loses_replies):
    outside = MemoryOutside()
    timing = replace(QUICK, row_write_short_s=0.02, media_restart_s=5, interruption_grace_s=5)
    async with running_gateway(timing=timing, outside=outside) as gateway:
        call = await talking(gateway)
        if loses_replies:
            outside.calls.lost_replies = 5
        else:
            outside.calls.is_away = True
        agents.latest.sink.set_variables({"order": "5678"})
        agents.latest.sink.failed(AgentFailed("connection_lost"))
        await gateway.until(lambda: len(agents.made) == 2 and gateway.is_listening(call))
        agents.latest.transfer_failed = lambda reason: None
        agents.latest.sink.transfer("4:+14255550177")
        await gateway.until(lambda: gateway.acs.transfers)
        [(_, asked)] = gateway.acs.transfers
        call.socket.send_audio(spoken(1))
        await gateway.until(lambda: bytes(agents.latest.audio) == spoken(1))
        outside.calls.is_away = False
        gateway.calls.add_event(
            call.call_id, "CallTransferFailed", operationContext=asked["operation_context"]
        )
        await gateway.until(lambda: CallEvent.TRANSFER_FAILED in events(gateway, call))
        agents.latest.sink.end()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)
        assert gateway.row(call).output == {"order": "5678"}
        assert events(gateway, call)[1:] == [
            CallEvent.MEDIA_STARTED,
            CallEvent.TRANSFER_REQUESTED,
            CallEvent.TRANSFER_FAILED,
            CallEvent.AGENT_ENDED,
            CallEvent.HUNG_UP,
        ]
