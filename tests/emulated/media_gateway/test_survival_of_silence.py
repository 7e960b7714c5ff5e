"""A caller who says nothing, and a call that has lasted as long as it may: both are told before the call ends."""

import asyncio

import pytest

from media_gateway.agents.contract import CALLER_STOPS, Role
from shared.core.call_state import Cause
from shared.core.profiles import PromptKind, Silence
from tests.support.media import prompt
from tests.support.media_survival import counted, spoken, talking

REPROMPT, GOODBYE = prompt(PromptKind.REPROMPT), prompt(PromptKind.GOODBYE)
SHORT = Silence(after_s=0.2, reprompts=1)


async def test_silent_caller_is_asked_then_told_goodbye_and_hung_up_on(gateway, agent):
    call = await talking(gateway, silence=SHORT)
    call.socket.send_silence()  # frames without a word
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_SILENT, hung_up=True)
    assert bytes(call.socket.audio) == REPROMPT + GOODBYE
    assert agent.closed_for == [Cause.CALLER_SILENT]


async def test_silent_caller_is_left_alone_where_the_profile_says_nothing(gateway, agent):
    call = await talking(gateway)
    await asyncio.sleep(0.6)

    assert not call.socket.audio


@pytest.mark.parametrize("how", ["words", "key", "stop"])
async def test_caller_who_is_heard_of_is_asked_anew(gateway, agent, how):
    call = await talking(gateway, silence=SHORT)
    await call.socket.until(lambda: call.socket.audio.endswith(REPROMPT))
    if how == "words":
        agent.sink.transcript(Role.CALLER, "Yes.", item_id="turn")
    elif how == "stop":
        agent.sink.note(CALLER_STOPS)
    else:
        call.socket.press("1")
    await gateway.until_over()

    assert bytes(call.socket.audio) == REPROMPT * 2 + GOODBYE


async def test_caller_who_speaks_is_not_silent(gateway, agent):
    call = await talking(gateway, silence=SHORT)
    agent.sink.caller_speaks("turn")
    await asyncio.sleep(0.7)
    assert not call.socket.audio
    agent.sink.transcript(Role.CALLER, "So much for that.", item_id="turn")
    await gateway.until_over()

    assert bytes(call.socket.audio) == REPROMPT + GOODBYE


async def test_caller_who_listens_to_the_agent_is_not_silent(gateway, agent):
    call = await talking(gateway, silence=SHORT)
    agent.sink.audio("story", spoken(7, ms=800))
    await call.socket.until(lambda: len(call.socket.audio) == len(spoken(7, ms=800)))
    await gateway.until_over()

    assert bytes(call.socket.audio) == spoken(7, ms=800) + REPROMPT + GOODBYE


async def test_caller_who_waits_for_the_agent_is_not_silent(gateway, agents):
    agents.hanging = 1
    call = await gateway.place(silence=SHORT)
    await gateway.until_streaming(call)
    await asyncio.sleep(0.7)

    assert not call.socket.audio
    assert not counted(gateway, "comfort_prompts")


async def test_call_that_has_lasted_as_long_as_it_may_ends_with_a_goodbye(gateway, agent):
    call = await talking(gateway, max_duration_s=0.2)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MAX_DURATION, hung_up=True)
    assert bytes(call.socket.audio) == GOODBYE


async def test_goodbye_cuts_what_the_agent_says(gateway, agent):
    call = await talking(gateway, max_duration_s=0.2)
    agent.sink.audio("endless", spoken(7, ms=60_000))
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MAX_DURATION, hung_up=True)
    assert call.socket.stops == 1
    assert call.socket.audio.endswith(GOODBYE)
