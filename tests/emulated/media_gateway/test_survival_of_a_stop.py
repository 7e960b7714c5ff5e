"""A process that stops: no new calls, those that run go on for a while, and none ends without a word."""

import asyncio
from dataclasses import replace

import pytest

from shared.core.call_state import CallState, Cause
from shared.core.profiles import PromptKind
from tests.support.media import QUICK, MemoryOutside, prompt, running_gateway
from tests.support.media_survival import counted, reopen, spoken, talking

GOODBYE = prompt(PromptKind.GOODBYE)
LONG = replace(QUICK, drain_s=5)
SHORT = replace(QUICK, drain_s=0.2)


async def stopping(gateway):
    """Stop the process as SIGTERM does, and wait until it says so."""
    gateway.stop.set()
    await gateway.until(lambda: gateway.core.calls.is_draining)


async def test_process_that_stops_takes_no_new_calls_at_once(agents):
    async with running_gateway(timing=LONG) as gateway:
        call = await talking(gateway)
        await stopping(gateway)

        assert (await gateway.get("/readyz"))[0] == 503
        assert (await gateway.refusal(gateway.answer()))[0] == 503
        agents.latest.sink.end()
        await gateway.until_over()
        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_calls_that_run_go_on_meanwhile(agents):
    async with running_gateway(timing=LONG) as gateway:
        call = await talking(gateway)
        await stopping(gateway)
        call.socket.send_audio(spoken(1))
        await gateway.until(lambda: bytes(agents.latest.audio) == spoken(1))
        agents.latest.sink.audio("answer", spoken(7))
        await call.socket.until_heard(spoken(7))
        agents.latest.sink.end()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_media_of_calls_that_run_may_come_back_meanwhile(agents):
    timing = replace(LONG, media_restart_s=5, interruption_grace_s=5)
    async with running_gateway(timing=timing) as gateway:
        call = await talking(gateway)
        await stopping(gateway)
        call.socket.drop()
        await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
        await reopen(gateway, call)
        await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
        agents.latest.sink.end()
        await gateway.until_over()


async def test_process_without_calls_stops_at_once(agents):
    loop = asyncio.get_running_loop()
    async with running_gateway(timing=replace(QUICK, drain_s=60)):
        began = loop.time()
    assert loop.time() - began < 2


async def test_caller_who_is_still_there_when_time_is_up_hears_goodbye(agents):
    async with running_gateway(timing=SHORT) as gateway:
        call = await talking(gateway)
        agents.latest.sink.audio("endless", spoken(7, ms=60_000))
        await stopping(gateway)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True)
        assert call.socket.audio.endswith(GOODBYE)
        assert not counted(gateway, "calls_handed_over")


@pytest.mark.parametrize("is_away", [False, True])
async def test_call_is_handed_over_where_there_is_another_pod_and_the_row_can_say_so(
    agents, monkeypatch, is_away
):
    outside = MemoryOutside()
    async with running_gateway(timing=SHORT, outside=outside) as gateway:
        call = await talking(gateway)
        monkeypatch.setattr(type(gateway.core._watch), "sees_another", True)
        await stopping(gateway)
        outside.calls.is_away = is_away
        await gateway.until_over()
        row = gateway.row(call)

        if is_away:
            assert gateway.acs.hung_up == [call.call_connection_id]
            assert call.socket.audio.endswith(GOODBYE)
            assert not counted(gateway, "calls_handed_over")
        else:
            assert row.state is CallState.INTERRUPTED
            assert row.media_grant_until is not None
            assert not gateway.acs.hung_up
            assert counted(gateway, "calls_handed_over") == 1
            assert agents.latest.closed_for == [Cause.MEDIA_LOST]
        outside.calls.is_away = False


async def test_call_that_was_handed_over_goes_on_elsewhere(agents, monkeypatch):
    outside = MemoryOutside()
    async with (
        running_gateway(timing=SHORT, outside=outside, pod_name="pod-a") as first,
        running_gateway(outside=outside, pod_name="pod-b") as second,
    ):
        call = await talking(first)
        monkeypatch.setattr(type(first.core._watch), "sees_another", True)
        await stopping(first)
        await call.socket.until_closed()
        await reopen(second, call)
        await second.until(lambda: second.row(call).state is CallState.STREAMING)
        await second.until(lambda: second.is_listening(call))

        assert second.row(call).owner.startswith("pod-b")
        assert agents.latest.info.is_resumed
        await first.until_over()
        assert not outside.call_control.hung_up
        call.socket.send_audio(spoken(1))
        await second.until(lambda: bytes(agents.latest.audio) == spoken(1))
