"""Fifty calls at once, each with a tone and words of its own: nobody hears, says or keeps anything of another's."""

import asyncio
import json

import numpy as np

from shared.core.call_state import CallState
from shared.core.profiles import Recording
from tests.emulated.agents.conftest import KEY, KEY_SECRET, agent_on
from tests.support.media import MemoryOutside, running_gateway
from tests.support.realtime import running_realtime_service

CALLS = 50
RATE = 24_000
FRAMES = 25


def tone(number, frames=1):
    """20 ms of a tone that only this call has: a constant is one, and is compared to the sample."""
    return (number + 1).to_bytes(2, "little") * (RATE // 50 * frames)


def values(pcm):
    return set(np.frombuffer(bytes(pcm), np.int16).tolist())


def facts_of(session):
    return session.settings["instructions"]


async def test_fifty_calls_at_once_share_nothing():
    outside = MemoryOutside()
    outside.vault.secrets[KEY_SECRET] = KEY
    async with (
        running_realtime_service(key=KEY) as service,
        running_gateway(outside=outside, max_calls=CALLS) as gateway,
    ):
        calls = await asyncio.gather(
            *(
                gateway.place(agent_on(service, instructions=f"{number}"), recording=Recording())
                for number in range(CALLS)
            )
        )
        await gateway.until(lambda: len(service.sessions) == CALLS, seconds=20)
        for session in service.sessions:
            await session.expect("conversation.item.create")
        sessions = {int(facts_of(session)): session for session in service.sessions}
        assert set(sessions) == set(range(CALLS))

        for _ in range(FRAMES):
            for number, call in enumerate(calls):
                call.socket.send_audio(tone(number))
            await asyncio.sleep(0)
        for number, session in sessions.items():
            await session.until(lambda s=session: s.appended_ms >= FRAMES * 20)
            session.speech_started()
            session.speech_stopped(f"caller {number}")
            session.say(tone(number, FRAMES), f"agent {number}", finished=False)
            session.call_tool("set_variables", {"variables": {"number": f"{number}"}})
        for number, call in enumerate(calls):
            await call.socket.until_heard(tone(number, FRAMES))
        for session in sessions.values():
            await session.expect("response.create")
            session.say(tone(int(facts_of(session))), "", finished=False)
            session.call_tool("end_call", {})
        await gateway.until_over(seconds=20)
        blobs = outside.recordings.blobs
        await gateway.until(lambda: sum(name.endswith("call.json") for name in blobs) == CALLS, seconds=20)

        for number, call in enumerate(calls):
            assert values(call.socket.audio) == {number + 1}
            row = gateway.row(call)
            assert row.state is CallState.ENDED
            assert row.output == {"number": f"{number}"}
            (transcript,) = [
                json.loads(data)
                for name, data in blobs.items()
                if call.call_id in name and name.endswith("transcript.json")
            ]
            texts = {entry["text"] for entry in transcript["entries"]}
            assert texts == {f"caller {number}", f"agent {number}"}
            (recording,) = [
                data
                for name, data in blobs.items()
                if call.call_id in name and name.endswith("recording.wav")
            ]
            assert values(recording[recording.index(b"data") + 8 :]) <= {0, number + 1}
