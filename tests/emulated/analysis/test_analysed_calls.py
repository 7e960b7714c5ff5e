"""A recorded call whose profile wants it is analysed when it is over, by the real SDK; nothing waits for that."""

import json

import pytest

from emulator.faults import FaultRule, Status
from media_gateway.agents.contract import Role
from shared.adapters.connect import LocalCredential
from shared.config import LanguageSettings
from shared.core.call_state import Cause
from shared.core.profiles import Analysis, Recording
from tests.support.media import MemoryOutside, agent, running_gateway

__all__ = ["agent"]


@pytest.fixture
async def gateway(acs_emulator):
    outside = MemoryOutside()
    outside.credential = LocalCredential()
    language = LanguageSettings(acs_emulator.base_url, acs_emulator.settings.access_key)
    async with running_gateway(outside=outside, language=language) as gateway:
        yield gateway


async def talked(gateway, agent, recording):
    """A call in which both sides say something, and which the agent ends."""
    call = await gateway.place(recording=recording)
    await gateway.until_streaming(call)
    await gateway.until(lambda: agent.sink is not None)
    agent.sink.audio("hello", bytes(9600))
    agent.sink.transcript(Role.AGENT, "Good morning, how is your new card?", item_id="hello")
    agent.sink.transcript(Role.CALLER, "It is broken. I hate that.", item_id="turn-1")
    agent.sink.end()
    return call


def files(gateway):
    return {name.rpartition("/")[2]: data for name, data in gateway.outside.recordings.blobs.items()}


async def test_a_call_is_analysed_after_its_recording(gateway, agent):
    call = await talked(gateway, agent, Recording(analysis=Analysis("en")))
    await gateway.until(lambda: gateway.core.pod.counters["analyses_made"])
    analysis = json.loads(files(gateway)["analysis.json"])
    assert analysis["call_id"] == call.call_id
    assert {side: told and told["sentiment"] for side, told in analysis["sentiment"].items()} == {
        "overall": "mixed", "caller": "negative", "agent": "positive"
    }  # fmt: skip
    assert analysis["key_phrases"] == ["morning", "card"]
    await gateway.until(lambda: not any("unfinished/" in name for name in gateway.outside.recordings.blobs))


async def test_a_service_that_refuses_concerns_neither_row_nor_recording(gateway, agent, acs_emulator):
    acs_emulator.faults.add(FaultRule("language.*", Status(403)))
    call = await talked(gateway, agent, Recording(analysis=Analysis("en")))
    await gateway.until(lambda: gateway.core.pod.counters["analyses_refused"])
    await gateway.until(lambda: not any("unfinished/" in name for name in gateway.outside.recordings.blobs))
    assert set(files(gateway)) == {"recording.wav", "transcript.json", "call.json"}
    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_a_profile_that_does_not_ask_for_it_sends_nothing(gateway, agent, acs_emulator):
    await talked(gateway, agent, Recording())
    await gateway.until(lambda: "call.json" in files(gateway))
    await gateway.until(lambda: not any("unfinished/" in name for name in gateway.outside.recordings.blobs))
    assert acs_emulator.requests("language.*") == []
