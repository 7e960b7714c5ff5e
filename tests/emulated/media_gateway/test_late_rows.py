"""Storage is away when calls end: their rows wait, and hold neither places nor the ends of recordings up."""

import asyncio
import json
from dataclasses import replace

import pytest

from shared.core.call_state import CallState, Cause
from shared.core.profiles import Recording
from tests.support.media import QUICK, running_gateway

LATE = replace(QUICK, row_late_s=60, row_write_s=60, row_write_short_s=0.05, row_write_tries=1)


@pytest.fixture
async def gateway():
    """One with a single place, that waits for storage."""
    async with running_gateway(timing=LATE, max_calls=1) as gateway:
        yield gateway


async def test_place_is_free_when_caller_and_agent_are_gone(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    assert not gateway.core.calls.has_room
    gateway.calls.gate.clear()
    agent.sink.end()
    await gateway.until(lambda: gateway.core.calls.has_room, seconds=2)

    assert agent.closed_for
    assert gateway.row(call).state is CallState.STREAMING
    # Whoever finds this pod dead sees to the row.
    assert gateway.core.calls.held_ids == (call.call_id,)
    gateway.calls.gate.set()
    await gateway.until_over()
    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_place_is_taken_while_the_agent_is_being_closed(gateway, agent):
    agent.hangs_in = "close"
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.end()
    await call.socket.until_closed()

    assert not gateway.core.calls.has_room


async def test_recording_ends_with_the_call_and_not_with_its_row(gateway, agent):
    call = await gateway.place(recording=Recording())
    await gateway.until_streaming(call)
    gateway.calls.gate.clear()
    began = asyncio.get_running_loop().time()
    agent.sink.end()
    await gateway.until(lambda: gateway.core.calls.has_room)
    lasted_s = asyncio.get_running_loop().time() - began
    await asyncio.sleep(1)
    gateway.calls.gate.set()
    blobs = gateway.outside.recordings.blobs
    await gateway.until(lambda: any(name.endswith("call.json") for name in blobs))
    [known] = [json.loads(data) for name, data in blobs.items() if name.endswith("call.json")]

    assert known["outcome"]["state"] == "ended"
    assert known["recording"]["duration_ms"] < (lasted_s + 0.5) * 1000
