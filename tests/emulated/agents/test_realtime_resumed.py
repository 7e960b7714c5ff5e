"""An agent that takes over from one that was lost: the service gets the conversation so far, and goes on with it."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from unittest.mock import Mock

import pytest

from media_gateway.agents.contract import MAX_CONVERSATION_CHARS, MAX_CONVERSATION_LINES, AgentSink, Role
from media_gateway.agents.realtime.adapter import Realtime, RealtimeService
from media_gateway.agents.realtime.connection import Connector
from media_gateway.agents.realtime.conversation import RESUMED
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.agents.tools.http import HttpTools
from media_gateway.secrets import Secrets
from shared.core.call_state import Cause
from shared.core.profiles import Dialect
from shared.core.tool_hosts import ToolHosts
from tests.emulated.agents.conftest import KEY, KEY_SECRET, agent_on
from tests.support.media import MemoryEntra, MemoryVault
from tests.support.realtime import quiet, running_realtime_service, tone
from tests.unit.agents.talk import CALL, RESUMED_CALL


@asynccontextmanager
async def resumed(service, dialect, info=RESUMED_CALL):
    """Open an agent in a call that had one before; yield it, its sink and the service's session."""
    counters, vault = Counter(), MemoryVault()
    vault.secrets[KEY_SECRET] = KEY
    secrets = Secrets(vault, counters)
    tools = HttpTools(ToolHosts(), secrets, counters)
    shared = RealtimeService(Connector(secrets, MemoryEntra(), counters), tools, append_ms=20)
    agent, sink = Realtime(agent_on(service, dialect, greeting="Greet the caller."), shared), Mock(AgentSink)
    sink.speaks, sink.is_cut = asyncio.Event(), asyncio.Event()
    sink.audio.side_effect = lambda *_: sink.speaks.set()
    sink.clear.side_effect = sink.is_cut.set
    await agent.open(info, sink)
    try:
        yield agent, sink, await service.session()
    finally:
        await agent.close(Cause.CALLER_HUNG_UP)


def texts(items):
    return [(item["role"], item["content"][0]["type"], item["content"][0].get("text")) for item in items]


@pytest.mark.parametrize("dialect", Dialect)
async def test_the_service_has_the_conversation_so_far_and_is_asked_to_go_on(service, dialect):
    part = "text" if dialect is Dialect.VOICE_LIVE else "output_text"
    async with resumed(service, dialect) as (_, _, session):
        ask = await session.expect("response.create")

    assert texts(session.items)[1:4] == [
        ("assistant", part, "Good morning."),
        ("user", "input_text", "Where is my order?"),
        ("assistant", part, "Let me see."),
    ]
    assert ask["response"]["instructions"].endswith(RESUMED)
    assert len(session.received("response.create")) == 1


async def test_it_goes_on_aloud():
    async with (
        running_realtime_service("parrot", key=KEY) as service,
        resumed(service, "openai") as (_, sink, session),
    ):
        await session.expect("response.create")
        await sink.speaks.wait()


async def test_the_caller_who_speaks_at_that_moment_is_heard_and_answered():
    async with (
        running_realtime_service("parrot", key=KEY, speed=1.0) as service,
        resumed(service, "openai") as (agent, sink, session),
    ):
        await session.expect("response.create")
        for pcm in (quiet(200), tone(600), quiet(1200)):
            for start in range(0, len(pcm), 960):
                agent.send_audio(pcm[start : start + 960])
        await sink.is_cut.wait()
        await session.until(lambda: session.appended_ms >= 2000)
    assert len(session.received("response.create")) == 1
    assert [item["role"] for item in session.items[4:]] == ["assistant", "user", "assistant"]


async def test_as_much_as_a_conversation_may_have_is_taken(service):
    so_far = ConversationSoFar()
    for number in range(MAX_CONVERSATION_LINES):
        role = Role.AGENT if number % 2 else Role.CALLER
        so_far.add(role, "x" * (MAX_CONVERSATION_CHARS // MAX_CONVERSATION_LINES))
    info = replace(CALL, is_resumed=True, conversation=so_far.lines())
    async with resumed(service, "voice-live", info) as (_, sink, session):
        await session.expect("response.create")
    assert len(session.items) == MAX_CONVERSATION_LINES + 1
    assert not sink.failed.called
