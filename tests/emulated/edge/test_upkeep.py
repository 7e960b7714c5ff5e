"""Upkeep as the host runs it: a call whose pod died with no other left is hung up in ACS, and its row is final."""

import asyncio
import time

from emulator.media.line import Line
from shared.core.call import CallTimes
from shared.core.call_state import CallState, Cause
from shared.core.ids import new_call_id
from tests.support.lost_calls import lost_call
from tests.support.records import call_record


async def run_upkeep(edge):
    async with edge.http.post(f"{edge.host.url}/admin/functions/upkeep", json={"input": ""}) as response:
        assert response.status == 202


async def until_final(edge, call_id):
    async with asyncio.timeout(20):
        while not (record := await edge.connections.calls.get(call_id)).state.is_final:
            await asyncio.sleep(0.02)
    return record


async def test_the_caller_of_a_pod_that_died_does_not_hear_silence_for_ever(edge):
    line = Line(rate_hz=16_000)
    edge.lines.append(line)
    placed, call_id = await lost_call(edge.emulator, edge.connections, line)
    assert placed.end is None
    await run_upkeep(edge)
    ended = await until_final(edge, call_id)
    assert (ended.state, ended.cause, ended.epoch) == (CallState.ENDED, Cause.OWNER_LOST, 2)
    assert placed.end is not None


async def test_upkeep_leaves_calls_alone_that_just_ring(edge):
    ringing = call_record(call_id=new_call_id(), times=CallTimes(created=time.time()))
    await edge.connections.calls.create(ringing)
    lost = call_record(call_id=new_call_id(), times=CallTimes(created=time.time() - 600))
    await edge.connections.calls.create(lost)
    await run_upkeep(edge)
    assert (await until_final(edge, lost.call_id)).state is CallState.MISSED
    assert await edge.connections.calls.get(ringing.call_id) == ringing
