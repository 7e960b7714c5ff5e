"""Every adapter, ready to be made, and a sink that checks what the contract asks of its user."""

from dataclasses import dataclass, field

import pytest

from media_gateway.agents.contract import CallInfo
from media_gateway.agents.registry import make_agent
from media_gateway.sounds import Sounds
from shared.core.profiles import EchoAgent, ScriptAgent, ScriptStep
from tests.support.media import MemorySounds
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
}


@pytest.fixture(params=SETTINGS)
def new_agent(request, sounds):
    """Make one more agent of the kind under test."""
    return lambda: make_agent(SETTINGS[request.param], sounds)


@pytest.fixture
async def opened(new_agent, call_info):
    """An opened agent and its sink."""
    agent, sink = new_agent(), StrictSink()
    sink.agent = agent
    await agent.open(call_info, sink)
    return agent, sink


__all__ = ["SETTINGS", "StrictSink"]
