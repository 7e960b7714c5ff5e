"""Every adapter, ready to be made, and a sink that checks what the contract asks of its user."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec
import pytest

from emulator.realtime.settings import Behaviour
from media_gateway.agents.contract import CallInfo, Role
from media_gateway.agents.realtime.adapter import RealtimeService
from media_gateway.agents.realtime.connection import Connector
from media_gateway.agents.registry import AgentResources, make_agent
from media_gateway.agents.tools.http import HttpTools
from media_gateway.secrets import Secrets
from media_gateway.sounds import Sounds
from shared.core.profiles import Dialect, EchoAgent, RealtimeAgent, ScriptAgent, ScriptStep
from shared.core.tool_hosts import ToolHosts
from tests.support.media import MemoryEntra, MemorySounds, MemoryVault
from tests.support.realtime import running_realtime_service
from tests.support.records import wav_bytes

RATES_HZ = (16_000, 24_000)


@dataclass
class StrictSink:
    """Takes what an agent reports, and asserts that it keeps to the contract."""

    said: list[tuple[str, bytes]] = field(default_factory=list)
    cuts: int = 0
    ended: bool = False
    error: Exception | None = None
    is_closed: bool = False
    agent: object = None
    over: set = field(default_factory=set)

    def audio(self, item_id, pcm):
        assert not self.is_closed, "nothing is said after the close"
        assert isinstance(item_id, str)
        assert item_id
        assert isinstance(pcm, bytes)
        assert len(pcm) % 2 == 0, "whole samples"
        assert item_id not in self.over, "an item that was cut takes no more"
        self.said.append((item_id, pcm))

    def clear(self):
        assert not self.is_closed
        self.cuts += 1
        cut = dict.fromkeys(item_id for item_id, _ in self.said if item_id not in self.over)
        self.over.update(cut)
        for item_id in cut:
            self.agent.heard(item_id, 0)

    def end(self):
        assert not self.is_closed
        self.ended = True

    def caller_speaks(self, item_id):
        assert not self.is_closed
        assert item_id

    def transcript(self, role, text, *, item_id):
        assert not self.is_closed
        assert isinstance(role, Role)
        assert text
        assert item_id

    def note(self, event, detail=""):
        assert not self.is_closed
        assert event.replace("_", "").isalpha(), "a name of ours"

    def failed(self, error):
        assert not self.is_closed
        assert isinstance(error, Exception)
        self.error = error


@pytest.fixture(params=RATES_HZ)
def rate_hz(request):
    return request.param


@pytest.fixture
def call_info(rate_hz):
    return CallInfo(
        call_id="0197f3a0-0000-7000-8000-000000000000",
        account_id="demo",
        correlation_id="ebd8bf1f-0794-494f-bdda-913042c06ef7",
        caller="4:+14255550100",
        called="4:+18005550199",
        variables={"order": "1234"},
        rate_hz=rate_hz,
    )


@pytest.fixture
def sounds(rate_hz):
    """One second of sound, at the call's rate."""
    files = MemorySounds()
    files.files["hello.wav"] = wav_bytes(b"\1\0" * rate_hz, rate_hz=rate_hz)
    return Sounds(files, fetch_s=5)


STEPS = {
    "1": ScriptStep(play="hello.wav"),
    "#": ScriptStep(play="hello.wav", end=True),
    "*": ScriptStep(end=True),
}

SETTINGS = {
    "echo": EchoAgent(),
    "echo-delayed": EchoAgent(delay_ms=300),
    "script": ScriptAgent(greeting="hello.wav", on_digit=STEPS),
    "script-silent": ScriptAgent(),
    **{
        f"realtime-{dialect.value}": RealtimeAgent(
            dialect=dialect, endpoint="", model="gpt-realtime", greeting="Greet.", digits_pause_ms=0
        )
        for dialect in Dialect
    },
}


@pytest.fixture(params=SETTINGS)
async def new_agent(request, sounds):
    """Make one more agent of the kind under test."""
    counters = Counter()
    secrets = Secrets(MemoryVault(), counters)
    service = RealtimeService(
        Connector(secrets, MemoryEntra(), counters), HttpTools(ToolHosts(), secrets, counters), append_ms=20
    )
    resources = AgentResources(sounds, service)
    settings = SETTINGS[request.param]
    if not isinstance(settings, RealtimeAgent):
        yield lambda: make_agent(settings, resources)
        return
    async with running_realtime_service(Behaviour.ECHO) as running:
        there = msgspec.structs.replace(settings, endpoint=running.url(settings.dialect.value))
        yield lambda: make_agent(there, resources)


@pytest.fixture
async def opened(new_agent, call_info):
    """An opened agent and its sink."""
    agent, sink = new_agent(), StrictSink()
    sink.agent = agent
    await agent.open(call_info, sink)
    return agent, sink


__all__ = ["SETTINGS", "StrictSink"]
