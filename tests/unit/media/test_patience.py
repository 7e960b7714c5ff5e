"""The clock of a call: how long it may last, and how long a caller may say nothing."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from media_gateway.patience import LONGEST_SPEECH_S, Patience
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, Silence

STEP_S = 0.01
AFTER_S = 0.05
"""In steps, so that a slow machine takes longer and counts the same."""


class Room:
    """What a call is to its clock."""

    def __init__(self, *, max_duration_s=60.0, reprompts=2, silence=True):
        self.says_s = 0.0
        self.is_waiting = False
        self.is_heard = True
        self.asked = []
        self.is_over = asyncio.Event()
        self.was_asked = asyncio.Event()
        profile = AgentProfile(
            name="test",
            agent=EchoAgent(),
            audio_format=AudioFormat.PCM24K,
            max_duration_s=max_duration_s,
            silence=Silence(after_s=AFTER_S, reprompts=reprompts) if silence else None,
        )
        self.patience = Patience(
            profile,
            self,
            is_waiting=lambda: self.is_waiting,
            is_heard=lambda: self.is_heard,
            on_duration=self.is_over.set,
            on_silence=self._on_silence,
            step_s=STEP_S,
        )

    def remaining_s(self):
        return self.says_s

    def _on_silence(self, before):
        self.asked.append(before)
        self.was_asked.set()


@asynccontextmanager
async def running(**profile):
    room = Room(**profile)
    watching = asyncio.create_task(room.patience.run())
    try:
        yield room
    finally:
        watching.cancel()
        await asyncio.wait((watching,))


async def until_asked(room, count):
    async with asyncio.timeout(5):
        while len(room.asked) < count:
            room.was_asked.clear()
            await room.was_asked.wait()


async def test_each_silence_is_told_with_how_many_came_before():
    async with running() as room:
        await until_asked(room, 3)
        assert room.asked[:3] == [0, 1, 2]


async def test_after_a_word_they_are_counted_anew():
    async with running() as room:
        await until_asked(room, 2)
        room.patience.caller_said()
        await until_asked(room, 3)
        assert room.asked[:3] == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "value", "otherwise"),
    [("says_s", 1.0, 0.0), ("is_waiting", True, False), ("is_heard", False, True)],
    ids=["the agent speaks", "somebody else is rung", "no agent listens"],
)
async def test_silence_does_not_count_while(name, value, otherwise):
    async with running() as room:
        setattr(room, name, value)
        await asyncio.sleep(3 * AFTER_S)
        assert not room.asked
        setattr(room, name, otherwise)
        await until_asked(room, 1)


async def test_silence_does_not_count_while_the_caller_speaks():
    async with running() as room:
        room.patience.caller_speaks()
        await asyncio.sleep(3 * AFTER_S)
        assert not room.asked
        room.patience.caller_said()
        await until_asked(room, 1)


async def test_speech_whose_end_is_never_told_is_over_at_some_point(monkeypatch):
    assert LONGEST_SPEECH_S == 60
    monkeypatch.setattr("media_gateway.patience.LONGEST_SPEECH_S", 0.05)
    async with running() as room:
        room.patience.caller_speaks()
        await until_asked(room, 1)


async def test_profile_without_a_word_on_silence_leaves_callers_alone():
    async with running(silence=False) as room:
        await asyncio.sleep(3 * AFTER_S)
        assert not room.asked


async def test_call_is_over_when_it_has_lasted_as_long_as_it_may():
    async with running(max_duration_s=0.05) as room, asyncio.timeout(5):
        await room.is_over.wait()


async def test_duration_stands_while_somebody_else_is_rung():
    async with running(max_duration_s=0.05) as room:
        room.is_waiting = True
        await asyncio.sleep(0.15)
        assert not room.is_over.is_set()
        room.is_waiting = False
        async with asyncio.timeout(5):
            await room.is_over.wait()


async def test_duration_runs_on_while_no_agent_listens():
    async with running(max_duration_s=0.05) as room, asyncio.timeout(5):
        room.is_heard = False
        await room.is_over.wait()
