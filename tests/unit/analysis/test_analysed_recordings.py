"""A recording whose profile wants it is analysed when it is finished, wherever its process was killed; and once."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from media_gateway.agents.contract import Role
from media_gateway.analysis.analyst import Analyst
from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.parts import OVER_AFTER_S
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore
from media_gateway.recording.sweeper import Sweeper
from shared.core.profiles import Analysis, Recording
from shared.errors import StoreUnavailable
from tests.support.analysis import Reader
from tests.support.recording import MemoryBlobs, VirtualCall, recorded_record

ENGLISH = Analysis("en")
WORDS, SECRET = "I love it", "4111 1111"


class Process:
    """What a process has that finalises and analyses."""

    def __init__(self, store, blobs, reader, counters):
        self.analyst = Analyst(blobs, reader, counters, retry_s=0.001)
        self.finaliser = Finaliser(store, counters, self.analyst, retry_s=0.001)
        self.sweeper = Sweeper(blobs, self.finaliser, clock=lambda: time.time() + OVER_AFTER_S + 60)

    async def analyse(self):
        """Analyse what was finalised."""
        working = asyncio.create_task(self.analyst.run())
        await self.analyst.finished()
        working.cancel()
        await asyncio.wait((working,))

    async def sweep(self):
        """Find what another process left, and do it."""
        working = asyncio.create_task(self.finaliser.run())
        await self.sweeper.look()
        await self.finaliser.finished()
        working.cancel()
        await asyncio.wait((working,))
        await self.analyse()


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
async def store(blobs, counters, tmp_path):
    store = RecordingStore(blobs, Spill(tmp_path, "pod", 1 << 30), counters)
    await store.open()
    running = asyncio.create_task(store.run())
    yield store
    running.cancel()
    await asyncio.wait((running,))


@pytest.fixture
def process(store, blobs, reader, counters):
    return Process(store, blobs, reader, counters)


async def recorded(store, counters, analysis=ENGLISH):
    """A call of two seconds, the second of them within a pause; return its folder when its parts are sent."""
    record = recorded_record()
    profile = msgspec.structs.replace(record.profile, recording=Recording(analysis=analysis))
    call = VirtualCall(store, replace(record, profile=profile), counters)
    call.say(1, caller=4000)
    call.recorder.said(Role.CALLER, "u1", WORDS)
    call.recorder.pause()
    call.say(1, caller=4000)
    call.recorder.said(Role.CALLER, "u2", SECRET)
    call.recorder.digits("4")
    call.recorder.finish()
    await store.all_sent(call.recorder.folder)
    return call.recorder.folder


async def test_its_finished_transcript_is_sent_and_nothing_of_what_was_said_in_a_pause(
    process, store, blobs, reader, counters
):
    folder = await recorded(store, counters)
    await process.finaliser.finalise(folder)
    await process.analyse()
    assert reader.asked == [([WORDS], "en")]
    assert {name.rpartition("/")[2] for name in blobs.blobs} == {
        "recording.wav", "transcript.json", "call.json", "analysis.json"
    }  # fmt: skip
    assert not [name for name in blobs.blobs if name.startswith("unfinished/")]


async def test_the_recording_is_whole_before_anybody_is_asked(process, store, blobs, counters):
    await process.finaliser.finalise(await recorded(store, counters))
    names = [name.rpartition("/")[2] for name in blobs.writes]
    assert names[-4:] == ["recording.wav", "transcript.json", "analysis.json", "call.json"]
    assert [name for name in blobs.blobs if name.startswith("unfinished/")] == [blobs.writes[-2]]


async def test_a_profile_that_says_nothing_has_nothing_sent(process, store, blobs, reader, counters):
    await process.finaliser.finalise(await recorded(store, counters, analysis=None))
    await process.analyse()
    assert reader.asked == []
    assert len(blobs.blobs) == 3


async def test_a_process_that_is_killed_before_it_has_asked_leaves_that_to_another(
    process, store, blobs, reader, counters
):
    folder = await recorded(store, counters)
    await process.finaliser.finalise(folder)
    other = Process(store, blobs, reader, counters)
    await other.sweep()
    assert f"{folder}/analysis.json" in blobs.blobs
    await Process(store, blobs, reader, counters).sweep()
    assert len(reader.asked) == 1


@pytest.mark.parametrize("steps", range(16))
async def test_wherever_storage_breaks_off_it_is_analysed_once(
    process, store, blobs, reader, counters, steps
):
    folder = await recorded(store, counters)
    real, left = blobs._answer, steps

    async def answer():
        nonlocal left
        left -= 1
        if left == -1:
            raise StoreUnavailable("away")
        await real()

    blobs._answer = answer
    for _ in range(2):
        try:
            await process.finaliser.finalise(folder)
        except StoreUnavailable:
            continue
        await process.analyse()
    assert f"{folder}/analysis.json" in blobs.blobs
    assert not [name for name in blobs.blobs if name.startswith("unfinished/")]
    # Where the answer was had, and only writing it failed, it is asked for again.
    assert len(reader.asked) in (1, 2)
