"""What every adapter must do, whatever it connects to."""

import asyncio
import time
import typing
from dataclasses import replace

from media_gateway.agents.contract import Role, Said
from shared.core.call_state import Cause
from shared.core.profiles import AgentSettings
from tests.conformance.agents.conftest import SETTINGS, StrictSink

DIGITS = "0123456789*#ABCD"


def frames_of_a_call(rate_hz):
    """Two seconds: speech, silence, speech; 20 ms each, and an odd one in between."""
    size = rate_hz // 50 * 2
    speech = [bytes([at % 251 + 1, 0]) * (size // 2) for at in range(40)]
    return [*speech, *([bytes(size)] * 20), b"\5\0" * 7, *speech]


async def test_takes_a_whole_call(opened, rate_hz):
    agent, sink = opened
    for frame in frames_of_a_call(rate_hz):
        agent.send_audio(frame)
    for digit in DIGITS:
        agent.send_dtmf(digit)
    await agent.close(Cause.CALLER_HUNG_UP)

    assert sink.error is None


async def test_takes_a_call_over_and_greets_nobody(new_agent, call_info, rate_hz):
    said = (Said(Role.AGENT, "Good morning."), Said(Role.CALLER, "Where is my order?"))
    agent, sink = new_agent(), StrictSink()
    sink.agent = agent
    await agent.open(replace(call_info, is_resumed=True, conversation=said), sink)
    assert sink.said == []
    for frame in frames_of_a_call(rate_hz):
        agent.send_audio(frame)
    await agent.close(Cause.CALLER_HUNG_UP)

    assert sink.error is None


async def test_says_nothing_after_the_close(opened, rate_hz):
    agent, sink = opened
    agent.send_audio(frames_of_a_call(rate_hz)[0])
    await agent.close(Cause.CALLER_HUNG_UP)
    sink.is_closed = True
    for frame in frames_of_a_call(rate_hz):
        agent.send_audio(frame)
    agent.send_dtmf("1")


async def test_goes_on_in_a_new_item_after_a_cut(opened, rate_hz):
    agent, sink = opened
    for frame in frames_of_a_call(rate_hz):
        agent.send_audio(frame)
    sink.clear()
    agent.heard("never-said", 5)
    for frame in frames_of_a_call(rate_hz):
        agent.send_audio(frame)
    agent.send_dtmf("1")
    await agent.close(Cause.CALLER_HUNG_UP)


async def test_can_be_closed_without_having_been_opened(new_agent):
    await new_agent().close(Cause.MEDIA_LOST)


async def test_can_be_cancelled_while_it_opens(new_agent, call_info):
    agent, sink = new_agent(), StrictSink()
    opening = asyncio.create_task(agent.open(call_info, sink))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await agent.close(Cause.CALLER_HUNG_UP)
    sink.is_closed = True
    agent.send_audio(bytes(640))


async def test_leaves_no_task_running(opened, rate_hz):
    before = asyncio.all_tasks()
    agent, _ = opened
    agent.send_audio(frames_of_a_call(rate_hz)[0])
    await agent.close(Cause.AGENT_ENDED)

    assert asyncio.all_tasks() <= before


async def test_takes_a_frame_in_no_time(opened, rate_hz):
    """150 calls bring 7500 frames a second to one process."""
    agent, _ = opened
    frames = frames_of_a_call(rate_hz)
    started = time.perf_counter()
    for frame in frames:
        agent.send_audio(frame)

    assert (time.perf_counter() - started) / len(frames) < 0.001


async def test_two_of_a_kind_share_nothing(new_agent, call_info, rate_hz):
    agents = [(new_agent(), StrictSink()) for _ in range(2)]
    for agent, sink in agents:
        sink.agent = agent
        await agent.open(call_info, sink)
    (first, heard_by_first), (_, heard_by_second) = agents
    said_before = list(heard_by_second.said)
    for frame in frames_of_a_call(rate_hz):
        first.send_audio(frame)
    first.send_dtmf("1")

    assert heard_by_second.said == said_before
    assert heard_by_first.said is not heard_by_second.said
    for agent, _ in agents:
        await agent.close(Cause.CALLER_HUNG_UP)


def test_every_kind_of_profile_is_under_test():
    assert {type(settings) for settings in SETTINGS.values()} == set(typing.get_args(AgentSettings))
