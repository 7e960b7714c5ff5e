"""An adapter that does what it must not costs its own call, in order and in time."""

import asyncio
import logging
from dataclasses import replace

import pytest

from shared.core.call_state import Cause
from tests.support.media import QUICK, running_gateway

SHORT = replace(QUICK, agent_close_s=0.1)


@pytest.fixture(autouse=True)
def info_logs(caplog):
    caplog.set_level(logging.INFO)


@pytest.fixture(autouse=True)
async def let_go(agent):
    """Let an adapter that ignored its cancellation end with the test."""
    yield
    agent.released.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize("where", ["open", "send_audio", "send_dtmf"])
async def test_agent_that_fails_ends_its_call_only(gateway, agent, caplog, where):
    agent.fails_in = where
    call = await gateway.place()
    other = gateway.answer()
    call.socket.send_audio(b"\1\0" * 480)
    call.socket.press("1")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
    assert agent.closed_for == [Cause.AGENT_FAILED]
    agent.fails_in = None
    socket = await gateway.open_socket(other)
    socket.send_metadata(24_000)
    await gateway.until_streaming(other)


async def test_agent_that_says_it_failed_ends_its_call(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.failed(ConnectionError("gone"))
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)


async def test_agent_that_says_half_a_sample_ends_its_call(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("item", b"\0\0\0")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)


async def test_agent_that_does_not_connect_in_time_ends_its_call(agent):
    agent.hangs_in = "open"
    async with running_gateway(timing=replace(QUICK, agent_open_s=0.1)) as gateway:
        call = await gateway.place()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
        assert agent.closed_for == [Cause.AGENT_FAILED]


@pytest.mark.parametrize("how", ["fails_in", "hangs_in"])
async def test_agent_that_cannot_be_closed_is_left(agent, how):
    setattr(agent, how, "close")
    async with running_gateway(timing=replace(QUICK, agent_close_s=0.1)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        agent.sink.end()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_agent_that_cancels_itself_while_it_connects_has_failed(gateway, agent, caplog):
    agent.cancels_itself_in = "open"
    call = await gateway.place()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
    assert agent.closed_for == [Cause.AGENT_FAILED]


async def test_agent_that_cancels_itself_while_it_closes_is_left(gateway, agent, caplog):
    agent.cancels_itself_in = "close"
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.end()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True, caplog=caplog)
    assert "an agent could not be closed" in caplog.text
    assert gateway.core.pod.counters["agents_abandoned"] == 0


@pytest.mark.parametrize("where", ["open", "close"])
async def test_agent_that_cannot_be_cancelled_is_abandoned(agent, caplog, where):
    agent.ignores_cancellation_in = where
    async with running_gateway(timing=SHORT) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        await gateway.until(lambda: agent.sink)
        call.socket.send(b"nonsense")
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_INVALID, hung_up=True, caplog=caplog)
        assert agent.closed_for == [Cause.MEDIA_INVALID]
        assert gateway.core.pod.counters["agents_abandoned"] == 1
        assert len(gateway.core.pod.abandoned) == 1
        agent.released.set()
        await gateway.until(lambda: not gateway.core.pod.abandoned)


async def test_agent_that_cannot_be_cancelled_does_not_hold_the_hang_up_up(agent):
    agent.ignores_cancellation_in = "open"
    async with running_gateway(timing=replace(QUICK, agent_close_s=60)) as gateway:
        call = await gateway.place()
        await gateway.until(lambda: agent.sink)
        call.socket.send(b"nonsense")
        await gateway.until(lambda: gateway.acs.hung_up, seconds=2)
        await gateway.until(lambda: gateway.row(call).cause is Cause.MEDIA_INVALID)
        agent.released.set()
        await gateway.until_over()


async def test_agent_that_cannot_be_cancelled_does_not_hold_the_process_up(agent):
    agent.ignores_cancellation_in = "open"
    async with running_gateway(timing=replace(QUICK, agent_close_s=60, stop_s=0.3)) as gateway:
        call = await gateway.place()
        await gateway.until(lambda: agent.sink)
        gateway.stop.set()
        await gateway.until_over(seconds=2)

        gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True)
        assert gateway.core.pod.counters["agents_abandoned"] == 1


async def test_agent_that_fails_over_what_was_heard_is_told_the_rest_and_ends_its_call(
    gateway, agent, caplog
):
    agent.fails_in = "heard"
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("first", b"\1\0" * 24_000)
    agent.sink.audio("second", b"\1\0" * 24_000)
    agent.sink.clear()
    await gateway.until_over()

    assert [item_id for item_id, _ in agent.heard_items] == ["first", "second"]
    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
