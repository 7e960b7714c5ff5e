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


async def test_parts_wait_with_their_calls_until_there_is_room(tmp_path):
    blobs, counters = SlowRecordings(), Counter()
    recordings = Recordings(
        blobs, volume=tmp_path, process="pod", max_spill_bytes=1, counters=counters, clock=time.time
    )
    await recordings.open()
    running = asyncio.create_task(recordings.run())
    recorders = []
    for _ in range(CALLS):
        record = recorded_record(call_id=str(uuid.uuid4()))
        recorders.append(recordings.recorder(record, lambda record=record: call_facts(record)))
        recorders[-1].caller(monotonic_us(), bytes(960))
    await asyncio.sleep(0.02)  # so much was said in each
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
