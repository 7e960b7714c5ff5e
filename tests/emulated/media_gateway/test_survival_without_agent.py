"""An agent that does not connect, or is lost: the caller is comforted, gets another one, or is told that it ends."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from media_gateway.agents.contract import AgentFailed, Role, Said
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import PromptKind, Recording
from tests.support.media import QUICK, prompt, running_gateway
from tests.support.media_survival import COLLEAGUE, counted, events, spoken, talking

LOST = AgentFailed("connection_lost")
COMFORT, APOLOGY = prompt(PromptKind.COMFORT), prompt(PromptKind.APOLOGY)
SLOW = replace(QUICK, comfort_s=0.05, agent_open_s=0.3)


async def test_caller_who_waits_for_the_agent_is_comforted_once(agents):
    agents.hanging = 1
    async with running_gateway(timing=replace(SLOW, agent_open_s=5)) as gateway:
        call = await gateway.place()
        await call.socket.until_heard(COMFORT)

        assert counted(gateway, "comfort_prompts") == 1
        assert gateway.row(call).state is CallState.STREAMING


async def test_agent_that_connects_in_time_is_not_announced(gateway, agents):
    call = await talking(gateway)
    agents.latest.sink.audio("hello", spoken(7))

    await call.socket.until_heard(spoken(7))
    assert not counted(gateway, "comfort_prompts")


async def test_caller_whose_agent_never_connects_hears_an_apology_before_the_hang_up(agents, caplog):
    caplog.set_level(logging.INFO)
    agents.hanging = 1
    async with running_gateway(timing=SLOW) as gateway:
        call = await gateway.place()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
        assert bytes(call.socket.audio) == COMFORT + APOLOGY
        assert CallState.FALLBACK in gateway.calls.states(call.call_id)
        assert len(agents.made) == 1
        assert not counted(gateway, "agents_reconnected")


async def test_caller_whose_agent_never_connects_is_sent_on_where_the_profile_says_whereto(agents):
    agents.hanging = 1
    async with running_gateway(timing=SLOW) as gateway:
        gateway.acs.on_transfer = lambda *_: gateway.calls.add_event(call.call_id, "CallTransferAccepted")
        call = await gateway.place(fallback=COLLEAGUE)
        await gateway.until_over()

        [(connection_id, asked)] = gateway.acs.transfers
        assert (connection_id, asked["target"]) == (call.call_connection_id, COLLEAGUE.transfer)
        assert asked["context"].voip == {"order": "1234"}
        assert gateway.row(call).state is CallState.ENDED
        assert not gateway.acs.hung_up
        assert APOLOGY not in call.socket.audio


async def test_output_variables_go_along_with_the_fallback(gateway, agents):
    call = await talking(gateway, fallback=COLLEAGUE)
    agents.latest.sink.set_variables({"verified": "yes"})
    agents.latest.sink.failed(AgentFailed("quota"))
    await gateway.until(lambda: gateway.acs.transfers)

    [(_, asked)] = gateway.acs.transfers
    assert asked["context"].voip == {"order": "1234", "verified": "yes"}
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()


async def test_fallback_that_is_busy_ends_in_an_apology(gateway, agents):
    gateway.acs.on_transfer = lambda _, asked: gateway.calls.add_event(
        call.call_id, "CallTransferFailed", operationContext=asked["operation_context"]
    )
    call = await talking(gateway, fallback=COLLEAGUE)
    agents.latest.sink.failed(AgentFailed("quota"))
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
    assert bytes(call.socket.audio) == COMFORT + APOLOGY
    assert len(gateway.acs.transfers) == 1


async def test_agent_that_is_lost_in_mid_word_is_followed_by_one_that_knows_what_was_said(gateway, agents):
    call = await talking(gateway)
    first = agents.latest
    first.sink.transcript(Role.CALLER, "Where is my order?", item_id="turn")
    first.sink.transcript(Role.AGENT, "Let me see.", item_id="answer")
    first.sink.audio("answer", spoken(7))
    first.sink.failed(LOST)
    await gateway.until(lambda: gateway.is_listening(call))
    second = agents.latest

    assert second is not first
    assert not first.info.is_resumed
    assert second.info.is_resumed
    assert second.info.conversation == (
        Said(Role.CALLER, "Where is my order?"),
        Said(Role.AGENT, "Let me see."),
    )
    assert second.info.variables == first.info.variables
    second.sink.audio("more", spoken(8))
    await call.socket.until_heard(spoken(7) + spoken(8))
    assert counted(gateway, "agents_reconnected") == 1
    assert gateway.row(call).state is CallState.STREAMING


async def test_what_a_lost_agent_was_just_saying_is_told_to_the_next_one(gateway, agents):
    call = await talking(gateway)
    first = agents.latest
    closed = first.close

    async def close(reason):
        first.sink.transcript(Role.AGENT, "I was about to", item_id="answer")
        await closed(reason)

    first.close = close
    first.sink.failed(LOST)
    await gateway.until(lambda: len(agents.made) == 2 and gateway.is_listening(call))

    assert agents.latest.info.conversation == (Said(Role.AGENT, "I was about to"),)


async def test_lost_agent_that_will_not_close_does_not_keep_the_next_one_away(gateway, agents):
    call = await talking(gateway)
    first = agents.latest
    first.hangs_in = "close"
    first.sink.failed(LOST)
    await gateway.until(lambda: len(agents.made) == 2 and gateway.is_listening(call))

    assert first.closed_for == [Cause.AGENT_FAILED]


async def test_no_frame_and_no_key_is_lost_between_two_agents(gateway, agents):
    call = await talking(gateway)
    frames = [spoken(value) for value in range(1, 41)]
    for frame in frames[:10]:
        call.socket.send_audio(frame)
    await gateway.until(lambda: len(agents.latest.audio) == 9600)
    first = agents.latest
    first.sink.failed(LOST)
    for frame in frames[10:20]:
        call.socket.send_audio(frame)
    call.socket.press("5")
    for frame in frames[20:]:
        call.socket.send_audio(frame)
    await gateway.until(lambda: len(agents.latest.audio) == 30 * 960)
    second = agents.latest

    assert bytes(first.audio + second.audio) == b"".join(frames)
    assert second.digits == ["5"]


async def test_agent_that_is_lost_over_what_it_has_missed_leaves_the_rest_to_the_next_one(gateway, agents):
    def fail(_digit):
        raise LOST

    def break_first(agent):
        agent.send_dtmf = fail
        agents.on_made = None

    agents.on_made = break_first
    gateway.calls.gate.clear()
    call = await gateway.place()
    call.socket.send_audio(spoken(1))
    call.socket.press("5")
    call.socket.send_audio(spoken(2))
    call.socket.press("6")
    [arrival] = gateway.core.calls._arrivals
    await gateway.until(lambda: len(arrival.early._messages) == 4)
    gateway.calls.gate.set()
    await gateway.until(lambda: agents.made and agents.latest.digits == ["6"])

    assert [bytes(agent.audio) for agent in agents.made] == [spoken(1), spoken(2)]


async def test_agent_that_is_lost_again_is_not_followed(gateway, agents, caplog):
    caplog.set_level(logging.INFO)
    call = await talking(gateway)
    agents.latest.sink.failed(LOST)
    await gateway.until(lambda: len(agents.made) == 2 and gateway.is_listening(call))
    agents.latest.sink.failed(LOST)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
    assert bytes(call.socket.audio) == APOLOGY
    assert [agent.closed_for for agent in agents.made] == [[Cause.AGENT_FAILED]] * 2


async def test_agent_that_has_lived_long_enough_is_followed_once_more(agents):
    async with running_gateway(timing=replace(QUICK, agent_stable_s=0)) as gateway:
        call = await talking(gateway)
        for number in (2, 3, 4):
            agents.latest.sink.failed(LOST)
            await gateway.until(lambda number=number: len(agents.made) == number)
            await gateway.until(lambda: gateway.is_listening(call))

        assert counted(gateway, "agents_reconnected") == 3
        assert gateway.row(call).state is CallState.STREAMING


async def test_next_agent_that_does_not_connect_in_time_is_the_last(agents):
    async with running_gateway(timing=replace(QUICK, agent_reconnect_s=0.05)) as gateway:
        call = await talking(gateway)
        agents.hanging = 1
        agents.latest.sink.failed(LOST)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
        assert len(agents.made) == 2


@pytest.mark.parametrize("reason", ["quota", "rate_limited", "unauthorized", "session_refused"])
async def test_where_another_agent_would_do_no_better_there_is_none(gateway, agents, reason):
    call = await talking(gateway)
    agents.latest.sink.failed(AgentFailed(reason))
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
    assert len(agents.made) == 1
    assert bytes(call.socket.audio) == APOLOGY


async def test_apology_does_not_wait_for_what_the_lost_agent_had_still_to_say(gateway, agents):
    call = await talking(gateway)
    agents.latest.sink.audio("endless", spoken(7, ms=60_000))
    agents.latest.sink.failed(AgentFailed("quota"))
    await gateway.until_over()

    assert call.socket.audio.endswith(APOLOGY)
    assert call.socket.stops == 1


async def test_caller_who_hangs_up_while_the_next_agent_connects_ends_the_call(gateway, agents):
    call = await talking(gateway)
    agents.hanging = 1
    agents.latest.sink.failed(LOST)
    await gateway.until(lambda: len(agents.made) == 2)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_recording_goes_on_over_a_change_of_agents(gateway, agents):
    call = await talking(gateway, recording=Recording())
    agents.latest.sink.transcript(Role.AGENT, "Good morning.", item_id="one")
    agents.latest.sink.failed(LOST)
    for value in range(1, 6):
        call.socket.send_audio(spoken(value))
    await gateway.until(lambda: len(agents.made) == 2 and len(agents.latest.audio) == 5 * 960)
    agents.latest.sink.audio("two", spoken(9))
    agents.latest.sink.transcript(Role.AGENT, "Here I am again.", item_id="two")
    await call.socket.until_heard(spoken(9))
    agents.latest.sink.end()
    await gateway.until_over()
    blobs = gateway.outside.recordings.blobs
    await gateway.until(lambda: any(name.endswith("transcript.json") for name in blobs))

    [transcript] = [json.loads(data) for name, data in blobs.items() if name.endswith("transcript.json")]
    assert "Good morning." in json.dumps(transcript)
    assert "Here I am again." in json.dumps(transcript)


async def test_agent_s_own_transfer_is_awaited_before_an_apology(gateway, agents):
    call = await talking(gateway)
    agents.latest.sink.transfer(COLLEAGUE.transfer)
    await gateway.until(lambda: gateway.acs.transfers)
    agents.latest.sink.failed(AgentFailed("quota"))
    await gateway.until(lambda: gateway.row(call).state is CallState.FALLBACK)
    await asyncio.sleep(0.05)
    assert not gateway.acs.hung_up
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    assert not gateway.acs.hung_up
    assert CallEvent.TRANSFER_ACCEPTED in events(gateway, call)
