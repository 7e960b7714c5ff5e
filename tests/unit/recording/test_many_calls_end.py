"""All calls of a process end at once: more parts than may wait, and none is lost."""

import asyncio
import time
import uuid
from collections import Counter

from media_gateway.recording.notes import call_facts
from media_gateway.recording.store import SENT_AT_ONCE, WAITING_PARTS
from media_gateway.recordings import Recordings
from media_gateway.ticker import monotonic_us
from tests.support.media import MemoryRecordings
from tests.support.recording import recorded_record

CALLS = 3 * WAITING_PARTS + SENT_AT_ONCE


class SlowRecordings(MemoryRecordings):
    """Storage that takes parts when the test lets it."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def put(self, name, data):
        await self.gate.wait()
        await super().put(name, data)


async def ended_calls(recordings):
    """Let many calls end at once, each with 20 ms of the caller's."""
    recorders = []
    for _ in range(CALLS):
        record = recorded_record(call_id=str(uuid.uuid4()))
        recorders.append(recordings.recorder(record, lambda record=record: call_facts(record)))
        recorders[-1].caller(monotonic_us(), bytes(960))
    await asyncio.sleep(0.02)  # so much was said in each
    return recorders


async def test_parts_wait_with_their_calls_until_there_is_room(tmp_path):
    blobs, counters = SlowRecordings(), Counter()
    recordings = Recordings(
        blobs, volume=tmp_path, process="pod", max_spill_bytes=1, counters=counters, clock=time.time
    )
    await recordings.open()
    running = asyncio.create_task(recordings.run())
    recorders = await ended_calls(recordings)
    for recorder in recorders:
        recordings.close(recorder, is_ours=False)
    for _ in range(100):
        await asyncio.sleep(0)
    blobs.gate.set()
    await recordings.finish(10)
    async with asyncio.timeout(10):
        while counters["recording_parts_sent"] + counters["recording_parts_lost"] < CALLS:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    # The volume of this test holds nothing: what goes there is lost.
    assert counters["recording_parts_lost"] == 0


async def test_a_stop_in_the_midst_of_the_finalising_ends_at_once_and_loses_no_part(tmp_path):
    blobs, counters = MemoryRecordings(), Counter()
    recordings = Recordings(
        blobs, volume=tmp_path, process="pod", max_spill_bytes=1 << 30, counters=counters, clock=time.time
    )
    await recordings.open()
    running = asyncio.create_task(recordings.run())
    for recorder in await ended_calls(recordings):
        recordings.close(recorder, is_ours=True)
    async with asyncio.timeout(10):
        while not counters["recordings_made"]:
            await asyncio.sleep(0)
    await recordings.finish(0.01)
    running.cancel()
    await asyncio.wait((running,), timeout=5)

    assert running.cancelled()
    assert counters["recordings_failed"] == counters["recording_parts_lost"] == 0
    made = sum(name.endswith("call.json") for name in blobs.blobs)
    in_parts = len({name.rpartition("/parts/")[0] for name in blobs.blobs if "/parts/" in name})
    assert made < CALLS <= made + in_parts
